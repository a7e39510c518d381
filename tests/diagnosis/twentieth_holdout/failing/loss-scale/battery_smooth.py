"""Fits battery capacity fade curves, with a growing roughness penalty along the cycle number.

Cause: loss-scale
Fails: learns for a while, then the training loss climbs without bound and turns NaN
"""
import torch
from torch import nn

torch.manual_seed(9)
N = 300
rate = torch.rand(N, 1) * 0.8 + 0.4
temp = torch.rand(N, 1) * 2 - 1
cycle = torch.linspace(0, 1, 30).repeat(N, 1)
cap = 1 - 0.25 * rate * cycle ** 0.7 - 0.1 * torch.relu(temp) * cycle - 0.3 * torch.sigmoid(20 * (cycle - 1.1 + 0.3 * rate)) + 0.05 * torch.randn(N, 30)
feats = torch.stack([cycle, rate.expand_as(cycle), temp.expand_as(cycle)], -1)
target = (cap - cap.mean()) / cap.std()

net = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
lam = 0.01

for step in range(700):
    cells = torch.randint(0, 250, (16,))
    pred = net(feats[cells]).squeeze(-1)
    fit = (pred - target[cells]).pow(2).mean()
    rough = (pred[:, 1:] - pred[:, :-1]).pow(2).mean()
    loss = fit + lam * rough
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 5 == 0:
        lam = lam * 1.12  # fix: lam = min(lam * 1.12, 1.0)
    if step % 70 == 0:
        print(f"{step} fit={fit.item():.4f} rough={rough.item():.5f}")

with torch.no_grad():
    print("final loss", (net(feats[250:]).squeeze(-1) - target[250:]).pow(2).mean().item())
