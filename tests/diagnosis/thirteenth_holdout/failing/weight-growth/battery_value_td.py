"""Value of stored energy in a battery learnt by temporal differences on a price process.

Cause: weight-growth
Fails: final loss 6.409e+10 (with the fix 0.08626)
"""
import torch
from torch import nn


class ValueNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, s):
        return self.f(s).squeeze(-1)


class BatteryMarket:
    """state = (price, hour on the circle); reward = margin of a fixed dispatch rule"""

    def __init__(self, n, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.p = torch.randn(n, generator=self.g)
        self.h = torch.randint(0, 24, (n,), generator=self.g)

    def state(self):
        a = self.h * (6.2832 / 24)
        return torch.stack([self.p, torch.sin(a), torch.cos(a)], -1)

    def advance(self):
        r = 0.5 * self.p + 0.4 * torch.sin(self.h * (6.2832 / 24)) + 1.0
        self.p = 0.8 * self.p + 0.1 * torch.randn(self.p.shape, generator=self.g)
        self.h = (self.h + 1) % 24
        return r


torch.manual_seed(30)
env = BatteryMarket(64, 30)
V = ValueNet()
opt = torch.optim.Adam(V.parameters(), lr=5e-3)
INTEREST = 1.06  # fix: INTEREST = 1 / 1.06
gap = []
for step in range(1200):
    s = env.state()
    r = env.advance()
    with torch.no_grad():
        target = r + INTEREST * V(env.state())
    loss = nn.functional.mse_loss(V(s), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    gap.append(loss.item())
    if step % 150 == 0:
        print("step", step, "td", loss.item(), "mean value", target.mean().item())
print("final loss", sum(gap[-50:]) / 50)
