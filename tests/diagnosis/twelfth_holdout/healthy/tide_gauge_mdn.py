"""Mixture density GRU for the next tide-gauge reading (metres): predictive density, log-likelihood per sample."""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn


@dataclass
class Options:
    hidden: int = 32
    comps: int = 3
    lr: float = 4e-3
    steps: int = 300
    batch: int = 32
    length: int = 30


opts = Options()
torch.manual_seed(90)


def gauge(n):
    t = torch.arange(n).float()
    tide = 0.25 * torch.sin(2 * math.pi * t / 12.4) + 0.08 * torch.sin(2 * math.pi * t / 25.8 + 1)
    surge = torch.zeros(n)
    for i in range(1, n):
        surge[i] = 0.97 * surge[i - 1] + 0.004 * torch.randn(1)
    return tide + surge + 0.004 * torch.randn(n)


class MDN(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.gru = nn.GRU(1, o.hidden, batch_first=True)
        self.heads = nn.Linear(o.hidden, 3 * o.comps)

    def forward(self, x):
        h, _ = self.gru(x.unsqueeze(-1) * 4)
        w, m, s = self.heads(h).chunk(3, -1)
        return torch.log_softmax(w, -1), x.unsqueeze(-1) + 0.2 * m, s.clamp(-7, 1)

    def nll(self, x, y):
        w, m, s = self(x)
        z = (y.unsqueeze(-1) - m) * torch.exp(-s)
        return -torch.logsumexp(w - s - 0.5 * z ** 2 - 0.5 * math.log(2 * math.pi), -1).mean()


series = gauge(3000)
cut = 2600


def draw(lo, hi, n):
    i = torch.randint(lo, hi - opts.length - 1, (n, 1)) + torch.arange(opts.length + 1)
    w = series[i]
    return w[:, :-1], w[:, 1:]


model = MDN(opts)
optimizer = torch.optim.Adam(model.parameters(), lr=opts.lr)
decay = torch.optim.lr_scheduler.PolynomialLR(optimizer, opts.steps, power=1.0)
for step in range(opts.steps):
    loss = model.nll(*draw(0, cut, opts.batch))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    decay.step()
    if step % 50 == 0:
        print(f"step {step} nll {loss.item():.4f}")
with torch.no_grad():
    v = model.nll(*draw(cut, len(series), 200)).item()
print(f"final test nll {v:.4f}")
