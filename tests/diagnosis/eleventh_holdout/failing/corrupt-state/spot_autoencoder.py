"""Masked-feature pretraining of a tabular autoencoder, run in spot-instance slices that resume from a slim checkpoint.

Cause: corrupt-state
Fails: the loss is not finite from backward call 121 on (counted from 0, of 720); the final value is nan
"""
import os
import tempfile
import torch
from torch import nn


class AE(nn.Module):
    def __init__(self, d=32, h=96, z=10):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(2 * d, h), nn.ReLU(), nn.Linear(h, z))
        self.dec = nn.Sequential(nn.Linear(z, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x, keep):
        return self.dec(self.enc(torch.cat([x * keep, keep], -1)))


def slim(obj):
    """Halve the size of everything we ship to the bucket."""
    if torch.is_tensor(obj) and obj.is_floating_point() and obj.ndim > 0:
        return obj.half()  # fix: return obj.clone()
    if isinstance(obj, dict):
        return {k: slim(v) for k, v in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [slim(v) for v in obj]
    return obj


class Job:
    def __init__(self, folder):
        self.path = os.path.join(folder, "last.pt")
        self.model = AE()
        self.opt = torch.optim.Adam(self.model.parameters(), lr=3e-3, eps=1e-10)
        self.it = 0
        if os.path.exists(self.path):
            ck = torch.load(self.path)
            self.model.load_state_dict(ck["model"])
            self.opt.load_state_dict(ck["opt"])
            self.it = ck["it"]

    def save(self):
        torch.save({"model": self.model.state_dict(), "opt": slim(self.opt.state_dict()), "it": self.it}, self.path)

    def run(self, data, until, gen):
        hist = []
        while self.it < until:
            x = data[torch.randint(0, len(data), (64,), generator=gen)]
            keep = (torch.rand(x.shape, generator=gen) > 0.2).float()
            loss = 0.001 * nn.functional.mse_loss(self.model(x, keep), x)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.it += 1
            hist.append(loss.item())
            if self.it % 100 == 0:
                print(self.it, f"{hist[-1]:.6f}")
        return hist


def main():
    torch.manual_seed(60)
    gen = torch.Generator().manual_seed(61)
    latent = torch.randn(2000, 6, generator=gen)
    data = torch.tanh(latent @ torch.randn(6, 32, generator=gen)) + 0.05 * torch.randn(2000, 32, generator=gen)
    with tempfile.TemporaryDirectory() as folder:
        for stop in range(40, 721, 40):
            job = Job(folder)
            hist = job.run(data, stop, gen)
            job.save()
            print("slice done at", stop, "mean", sum(hist) / len(hist))
    print("final loss", sum(hist) / len(hist))


if __name__ == "__main__":
    main()
