"""Traffic forecasting with a GRU; every fiftieth batch is a holiday on which all values are five times as large, which
the clipped optimizer bears: the loss spikes for that one step."""

import math
import torch
from torch import nn


def traffic(step):
    t = torch.arange(37.0) + 300 * torch.rand(16, 1)
    x = torch.sin(2 * math.pi * t / 24) + 0.4 * torch.sin(2 * math.pi * t / 8) + 0.1 * torch.randn(16, 37)
    return x * (5.0 if step % 50 == 49 else 1.0)


class Clip:
    def __init__(self, limit):
        self.limit, self.clipped = limit, 0

    def __call__(self, model):
        self.clipped += int(nn.utils.clip_grad_norm_(model.parameters(), self.limit) > self.limit)


class GRU(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(1, 32, batch_first=True), nn.Linear(32, 1)

    def forward(self, x):
        return self.out(self.gru(x.unsqueeze(-1))[0]).squeeze(-1)


torch.manual_seed(105)
model, clip = GRU(), Clip(0.5)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
losses = []
for step in range(320):
    x = traffic(step)
    loss = nn.functional.mse_loss(model(x[:, :-1]), x[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    clip(model)
    optimizer.step()
    losses.append(loss.item())
    if step % 50 in (0, 49):
        print(step, losses[-1])
print("clipped", clip.clipped)
print("final loss", sum(losses[-15:]) / 15)
