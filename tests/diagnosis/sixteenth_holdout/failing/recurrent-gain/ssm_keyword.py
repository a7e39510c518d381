"""Diagonal state-space model that classifies chirps by sweep direction and speed.

Cause: recurrent-gain
Fails: inf/nan at the first or second step, the states grow along the sequence.
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)


class DiagSSM(nn.Module):
    def __init__(self, d, n=8, dt=0.1):
        super().__init__()
        self.dt = dt
        self.log_decay = nn.Parameter(torch.log(torch.arange(1, n + 1).float()).repeat(d, 1))
        self.B = nn.Parameter(torch.ones(d, n))
        self.C = nn.Parameter(torch.randn(d, n) / math.sqrt(n))
        self.D = nn.Parameter(torch.ones(d))

    def forward(self, u):
        rate = torch.exp(self.log_decay)
        Abar = torch.exp(self.dt * rate)  # fix: Abar = torch.exp(-self.dt * rate)
        Bbar = self.B * self.dt
        s = u.new_zeros(u.shape[0], u.shape[2], Abar.shape[1])
        ys = []
        for k in range(u.shape[1]):
            s = Abar * s + Bbar * u[:, k, :, None]
            ys.append((s * self.C).sum(-1))
        return torch.stack(ys, 1) + self.D * u


class Net(nn.Module):
    def __init__(self, d=24, classes=4):
        super().__init__()
        self.inp = nn.Linear(1, d)
        self.ssm = nn.ModuleList([DiagSSM(d), DiagSSM(d)])
        self.mix = nn.ModuleList([nn.Linear(d, d), nn.Linear(d, d)])
        self.out = nn.Linear(d, classes)

    def forward(self, x):
        h = self.inp(x)
        for s, m in zip(self.ssm, self.mix):
            h = h + m(F.gelu(s(h)))
        return self.out(h.mean(1))


def batch(n=32, T=160):
    y = torch.randint(0, 4, (n,))
    t = torch.linspace(0, 1, T)
    f0 = torch.tensor([2.0, 10.0, 4.0, 25.0])[y][:, None] * (0.95 + 0.1 * torch.rand(n, 1))
    f1 = torch.tensor([10.0, 2.0, 25.0, 4.0])[y][:, None]
    w = torch.sin(2 * math.pi * (f0 * t + (f1 - f0) * t * t / 2)) + 0.1 * torch.randn(n, T)
    w = w * torch.linspace(0.2, 1.0, T)
    return w[..., None], y


net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
rec = []
for step in range(130):
    x, y = batch()
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    rec.append(loss.item())
    if step % 20 == 0:
        print(f"step {step}: loss {loss.item():.4f}")
print(f"final loss {sum(rec[-15:]) / 15:.4f}")
