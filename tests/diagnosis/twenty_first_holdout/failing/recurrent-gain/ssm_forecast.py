"""Trains a small diagonal state-space network (S4D / Mamba-like scan) on sums of waves.

Cause: recurrent-gain
Fails: the loss is huge at the start and NaN after a few steps
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(44)
torch.set_num_threads(1)


class DiagonalSSM(nn.Module):
    def __init__(self, d, n=4, dt_min=0.01, dt_max=0.08):
        super().__init__()
        self.log_dt = nn.Parameter(torch.rand(d, 1) * (torch.log(torch.tensor(dt_max)) - torch.log(torch.tensor(dt_min))) + torch.log(torch.tensor(dt_min)))
        self.A_log = nn.Parameter(torch.log(torch.arange(1, n + 1).float()).repeat(d, 1))
        self.B, self.C = nn.Parameter(torch.ones(d, n)), nn.Parameter(torch.randn(d, n) * n ** -0.5)
        self.D = nn.Parameter(torch.ones(d))

    def forward(self, u):
        dt = self.log_dt.exp()
        A = torch.exp(self.A_log)  # fix: A = -torch.exp(self.A_log)
        dA, dB = torch.exp(dt * A), dt * self.B
        h, ys = torch.zeros(u.size(0), *A.shape), []
        for t in range(u.size(1)):
            h = dA * h + dB * u[:, t].unsqueeze(-1)
            ys.append((h * self.C).sum(-1))
        return torch.stack(ys, 1) + self.D * u


class Model(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.inp, self.out = nn.Linear(1, d), nn.Linear(d, 1)
        self.ssm = nn.ModuleList([DiagonalSSM(d) for _ in range(2)])
        self.mix = nn.ModuleList([nn.Linear(d, d) for _ in range(2)])

    def forward(self, x):
        x = self.inp(x)
        for s, m in zip(self.ssm, self.mix):
            x = x + m(F.gelu(s(x)))
        return self.out(x)


def waves(n, g, T=60):
    t = torch.arange(T + 1).float()
    a = torch.rand(4, n, 1, generator=g)
    y = torch.sin((0.1 + 0.4 * a[0]) * t + 6 * a[1]) + 0.5 * torch.sin((0.4 + 0.6 * a[2]) * t + 6 * a[3])
    return y.unsqueeze(-1) + 0.02 * torch.randn(n, T + 1, 1, generator=g)


g = torch.Generator().manual_seed(5)
data, val = waves(500, g), waves(100, g)
model = Model()
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for step in range(200):
    b = data[torch.randint(0, 500, (16,), generator=g)]
    loss = F.mse_loss(model(b[:, :-1]), b[:, 1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print("step", step, "loss", round(loss.item(), 5))
with torch.no_grad():
    print("final loss", F.mse_loss(model(val[:, :-1]), val[:, 1:]).item())
