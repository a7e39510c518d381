"""Heteroscedastic Gaussian forecaster of precise sensor readings; the likelihood exceeds one."""
import torch
import torch.nn as nn


class MeanScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(2, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU())
        self.mu, self.ls = nn.Linear(48, 1), nn.Linear(48, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.mu(h)[:, 0], self.ls(h)[:, 0].clamp(-6, 3)


def readings(n, g):
    x = 2 * torch.rand(n, 2, generator=g) - 1
    s = 0.01 + 0.05 * (x[:, 1] > 0)
    return x, 0.5 * torch.sin(3 * x[:, 0]) + s * torch.randn(n, generator=g)


torch.manual_seed(6)
g = torch.Generator().manual_seed(6)
net = MeanScale()
opt = torch.optim.NAdam(net.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.996)
for k in range(900):
    x, y = readings(64, g)
    mu, ls = net(x)
    loss = (ls + 0.5 * ((y - mu) / ls.exp()) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    sched.step()
    if k % 100 == 0:
        print("k", k, "nll", loss.item())
with torch.no_grad():
    x, y = readings(4000, g)
    mu, ls = net(x)
    print("final loss", (ls + 0.5 * ((y - mu) / ls.exp()) ** 2).mean().item())
