"""Bearing fault detection from vibration: conv filters, log band energy pooling, linear classifier.

Cause: half-overflow
Fails: the loss is not finite from step 2 on (with the fix: final loss 0.002005)
"""
import torch
import torch.nn as nn


class BandEnergy(nn.Module):
    compute_dtype = torch.float16  # fix: compute_dtype = torch.float32

    def __init__(self, bands=24):
        super().__init__()
        self.filt = nn.Conv1d(1, bands, 9, padding=4)

    def forward(self, x):
        h = torch.relu(self.filt(x)).to(self.compute_dtype)
        energy = (h * h).sum(-1)
        return torch.log1p(energy.float())


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.front = BandEnergy()
        self.mlp = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        return self.mlp(self.front(x))


def draw(n, g):
    y = torch.randint(0, 2, (n,), generator=g)
    t = torch.arange(128).float()
    load = torch.exp(3.6 * torch.rand(n, 1, generator=g))
    ph = 6.28 * torch.rand(n, 1, generator=g)
    f = torch.where(y == 1, 1.1, 0.5).unsqueeze(1)
    x = load * (torch.sin(f * t + ph) + 0.5 * torch.randn(n, 128, generator=g))
    return x.unsqueeze(1), y


torch.manual_seed(3)
g = torch.Generator().manual_seed(33)
net = Detector()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
losses = []
for step in range(300):
    x, y = draw(32, g)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print("step", step, "loss", losses[-1])
print("final loss", sum(losses[-20:]) / 20)
