"""A GRU forecasts river levels; decoupled weight decay is applied by hand after each step of NAdam.

Cause: weight-growth
Fails: falls to 0.57 in 50 steps, then grows without end, 2e11 at the end
"""

import math

import torch
from torch import nn


def river(days):
    level, rain = torch.zeros(days), torch.relu(torch.randn(days) - 0.5)
    for d in range(1, days):
        level[d] = 0.92 * level[d - 1] + 0.5 * rain[d - 1] + 0.1 * math.sin(d / 9)
    return torch.stack([level, rain], 1)


class RiverNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x):
        return self.out(self.gru(x)[0]).squeeze(-1)


@torch.no_grad()
def decay(model, lr, strength):
    for name, p in model.named_parameters():
        if "bias" not in name:
            p.add_(p, alpha=lr * strength)  # fix: p.add_(p, alpha=-lr * strength)


torch.manual_seed(46)
data = river(2000)
data = (data - data.mean(0)) / data.std(0)
model = RiverNet()
lr = 3e-3
optimizer = torch.optim.NAdam(model.parameters(), lr=lr)
losses = []
for step in range(500):
    starts = torch.randint(0, 2000 - 31, (16,)).tolist()
    window = torch.stack([data[s : s + 31] for s in starts])
    loss = (model(window[:, :-1]) - window[:, 1:, 0]).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay(model, lr, 10.0)
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
