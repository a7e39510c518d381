"""Trains a diagonal linear state-space layer on long power-load sequences (predict the next value).
Cause: recurrent-gain
Fails: outputs are enormous from the first step; the loss starts at a huge number and never recovers.
"""
import math
import torch
from torch import nn

torch.manual_seed(21)


class DiagSSM(nn.Module):
    def __init__(self, n=32, hidden=32):
        super().__init__()
        self.log_dt = nn.Parameter(torch.linspace(math.log(0.02), math.log(0.3), n))
        self.a = nn.Parameter(torch.linspace(0.1, 1.0, n))
        self.B = nn.Parameter(torch.randn(n) * 0.5)
        self.head = nn.Sequential(nn.Linear(n + 1, hidden), nn.GELU(), nn.Linear(hidden, 1))

    def forward(self, u):
        dt = self.log_dt.exp()
        decay = torch.exp(dt * self.a.abs())  # fix: decay = torch.exp(-dt * self.a.abs())
        x = torch.zeros(u.size(0), decay.numel())
        ys = []
        for k in range(u.size(1)):
            x = decay * x + dt * self.B * u[:, k:k + 1]
            ys.append(torch.cat([x, u[:, k:k + 1]], 1))
        return self.head(torch.stack(ys, 1)).squeeze(-1)


def load_batch(n=32, T=128):
    ph = torch.rand(n, 1) * 2 * math.pi
    t = torch.arange(T + 1).float()
    s = torch.sin(2 * math.pi * t / 24 + ph) + 0.5 * torch.sin(2 * math.pi * t / 12 + 2 * ph) + 0.05 * torch.randn(n, T + 1)
    return s[:, :-1], s[:, 1:]


model = DiagSSM()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
last = []
for it in range(160):
    u, y = load_batch()
    loss = nn.functional.mse_loss(model(u), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    last.append(loss.item())
    if it % 25 == 0:
        print(f"it {it} mse {loss.item():.5g}")
print(f"final loss {sum(last[-10:]) / 10:.5g}")
