"""Spots spoken-word-like tone patterns with a learnable filter bank, log energies and mixed precision.

Cause: half-overflow
Fails: inf and NaN as soon as a loud recording passes the energy computation
"""
import math
import torch
from torch import nn

torch.manual_seed(33)
RATE, N = 1000, 512
WORDS = [(60, 140), (140, 60), (90, 90), (60, 220), (220, 140)]


def record(n):
    y = torch.randint(0, len(WORDS), (n,))
    t = torch.arange(N) / RATE
    first = torch.tensor([w[0] for w in WORDS])[y].view(-1, 1) * (1 + 0.05 * torch.randn(n, 1))
    second = torch.tensor([w[1] for w in WORDS])[y].view(-1, 1) * (1 + 0.05 * torch.randn(n, 1))
    f = torch.where(t < N / RATE / 2, first, second)
    wave = torch.sin(2 * math.pi * torch.cumsum(f, 1) / RATE) + 0.8 * torch.randn(n, N)
    loud = torch.exp(2.35 + 0.5 * torch.randn(n, 1))
    return (wave * loud).unsqueeze(1), y


class Spotter(nn.Module):
    def __init__(self):
        super().__init__()
        self.filters = nn.Conv1d(1, 32, 65, stride=8, bias=False)
        self.norm = nn.LayerNorm(32)
        self.gru = nn.GRU(32, 32, batch_first=True)
        self.out = nn.Linear(32, len(WORDS))
        with torch.no_grad():
            grid = torch.arange(65) - 32
            bank = torch.cos(2 * math.pi * torch.linspace(20, 300, 32).view(-1, 1) * grid / RATE) * torch.hann_window(65)
            self.filters.weight.copy_(bank.unsqueeze(1) / 4)

    def forward(self, wave):
        with torch.autocast("cpu", dtype=torch.float16):  # fix: with torch.autocast("cpu", dtype=torch.bfloat16):
            band = self.filters(wave)
            energy = nn.functional.avg_pool1d(band * band, 4)
        logs = self.norm(torch.log(energy.float() + 1e-3).transpose(1, 2))
        return self.out(self.gru(logs)[1][0])


model = Spotter()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
ce = nn.CrossEntropyLoss()
xs, ys = record(2000)
vx, vy = record(300)
for step in range(240):
    i = torch.randint(0, 2000, (24,))
    loss = ce(model(xs[i]), ys[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", ce(model(vx), vy).item())
