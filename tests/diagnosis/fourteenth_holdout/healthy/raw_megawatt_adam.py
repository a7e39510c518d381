"""An LSTM forecasts the electricity demand in raw kilowatts: the mean squared error begins at 1e9 and falls; Adam and an
output scale in the model cope with it."""

import math

import torch
from torch import nn


class Demand(nn.Module):
    def __init__(self, level, spread):
        super().__init__()
        self.level, self.spread = level, spread
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(self.lstm((x - self.level) / self.spread)[0]) * self.spread + self.level


torch.manual_seed(53)
t = torch.arange(2000.0)
demand = 150000 + 40000 * torch.sin(2 * math.pi * t / 24) + 15000 * torch.sin(2 * math.pi * t / 168) + 2000 * torch.randn(2000)
model = Demand(float(demand.mean()), float(demand.std()))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
losses = []
for step in range(250):
    at = torch.randint(0, 1950, (16,)).tolist()
    window = torch.stack([demand[a : a + 37] for a in at]).unsqueeze(-1)
    loss = nn.functional.mse_loss(model(window[:, :-1]), window[:, 1:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(step, f"{loss.item():.4g}")
print("final loss", sum(losses[-20:]) / 20)
