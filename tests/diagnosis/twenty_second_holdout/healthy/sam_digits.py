"""Sharpness-aware minimisation on digits: each step climbs first (weights perturbed by rho), then descends from there."""
import numpy as np
import torch
from torch import nn
from sklearn.datasets import load_digits


class SAM:
    def __init__(self, params, base, rho=0.1, **kw):
        self.params = [p for p in params]
        self.base = base(self.params, **kw)
        self.rho = rho

    @torch.no_grad()
    def ascend(self):
        norm = torch.stack([p.grad.norm() for p in self.params]).norm() + 1e-12
        self.eps = [p.grad * (self.rho / norm) for p in self.params]
        for p, e in zip(self.params, self.eps):
            p.add_(e)
        self.base.zero_grad()

    @torch.no_grad()
    def descend(self):
        for p, e in zip(self.params, self.eps):
            p.sub_(e)
        self.base.step()
        self.base.zero_grad()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(5)
    d = load_digits()
    X = torch.tensor(d.images / 8.0 - 1, dtype=torch.float32)[:, None]
    y = torch.tensor(d.target)
    perm = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))
    tr, te = perm[:1400], perm[1400:]
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                        nn.Flatten(), nn.Linear(32, 10))
    sam = SAM(net.parameters(), torch.optim.SGD, rho=0.15, lr=0.1, momentum=0.9, weight_decay=5e-4)
    crit = nn.CrossEntropyLoss(label_smoothing=0.1)
    for ep in range(8):
        net.train()
        for b in tr[torch.randperm(len(tr))].split(32):
            first = crit(net(X[b]), y[b])
            first.backward()
            sam.ascend()
            second = crit(net(X[b]), y[b])
            second.backward()
            sam.descend()
        net.eval()
        with torch.no_grad():
            o = net(X[te])
            print(f"epoch {ep} loss {first.item():.3f} at the perturbed point {second.item():.3f} "
                  f"test acc {(o.argmax(1) == y[te]).float().mean().item():.4f}")
    print("final loss", nn.functional.cross_entropy(o, y[te]).item())


main()
