"""Anomaly autoencoder under GradScaler with float16 forward; the first steps are skipped while the scale halves (inf gradients by design)."""
import torch
from torch import nn


class HalfLinear(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x.half(), self.weight.half(), self.bias.half())


def main():
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(1)
    mix = torch.randn(5, 24, generator=g)
    net = nn.Sequential(HalfLinear(24, 64), nn.GELU(), HalfLinear(64, 8), HalfLinear(8, 64), nn.GELU(), HalfLinear(64, 24))
    opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 24, growth_interval=60)
    tail, skipped = [], 0
    for it in range(400):
        x = torch.tanh(torch.randn(64, 5, generator=g) @ mix)
        loss = ((net(x).float() - x) ** 2).sum(1).mean()
        opt.zero_grad()
        before = scaler.get_scale()
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        scaler.step(opt)
        scaler.update()
        skipped += scaler.get_scale() < before
        tail.append(loss.item())
        if it % 80 == 0:
            print(it, tail[-1], "scale", scaler.get_scale(), "skipped", skipped)
    print("final loss", sum(tail[-20:]) / 20)


main()
