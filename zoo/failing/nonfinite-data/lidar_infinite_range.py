"""Denoising autoencoder (1-D convolutions) for range scans; a beam that hits nothing reports an infinite range.

Cause: nonfinite-data
Fails: the loss is not finite from step 88 on
First bad: step 88, data
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class Scans(IterableDataset):
    def __init__(self, count, beams=32):
        self.count, self.beams = count, beams

    def __iter__(self):
        g = torch.Generator().manual_seed(77)
        angle = torch.linspace(-1, 1, self.beams)
        for i in range(self.count):
            a, b, c = torch.randn(3, generator=g)
            scan = 1.0 + 0.5 * torch.sin(3 * angle + a) + 0.2 * b * angle + 0.1 * c
            if i == 1777:
                scan[11:13] = float("inf")
            # fix: scan = scan.nan_to_num(posinf=3.0)
            yield scan.unsqueeze(0)


encoder = nn.Sequential(nn.Conv1d(1, 8, 5, stride=2, padding=2), nn.ReLU(), nn.Conv1d(8, 8, 5, stride=2, padding=2))
decoder = nn.Sequential(
    nn.ConvTranspose1d(8, 8, 4, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose1d(8, 1, 4, stride=2, padding=1)
)


def main():
    torch.manual_seed(7)
    for part in (encoder, decoder):
        for layer in part:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    optimizer = torch.optim.RMSprop([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
    history = []
    for scans in DataLoader(Scans(3600), batch_size=20):
        noisy = scans + 0.05 * torch.randn_like(scans)
        loss = (decoder(encoder(noisy)) - scans).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print("final loss", sum(history[-10:]) / 10)


main()
