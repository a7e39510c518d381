"""GRU that forecasts tomorrow's temperature from two weeks of synthetic weather.

Cause: learning-rate
Fails: the rate keeps rising past step 25; mse is down to 0.03 at step 100, blows up to 3e21 at step 150 and is NaN from step 156.
"""
import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Config:
    days: int = 4000
    window: int = 14
    hidden: int = 32
    peak: float = 0.25
    ramp: int = 25
    steps: int = 500
    batch: int = 64
    seed: int = 11


def make_weather(cfg):
    g = torch.Generator().manual_seed(cfg.seed)
    t = torch.arange(cfg.days, dtype=torch.float32)
    season = torch.sin(2 * math.pi * t / 365.25)
    noise = torch.randn(cfg.days, generator=g)
    front = torch.zeros(cfg.days)
    for i in range(1, cfg.days):
        front[i] = 0.85 * front[i - 1] + 0.4 * noise[i]
    temp = 12 + 9 * season + 3 * front
    wind = (1.5 + torch.roll(front, -1) * 0.6 + 0.3 * torch.randn(cfg.days, generator=g))
    series = torch.stack([temp, wind, season], dim=1)
    return (series - series.mean(0)) / series.std(0)


class Forecaster(nn.Module):
    def __init__(self, n_in, hidden):
        super().__init__()
        self.rnn = nn.GRU(n_in, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.out(h[:, -1]).squeeze(-1)


class Ramp:
    """Raises the rate over the first steps, then lets it fall off slowly."""

    def __init__(self, optimizer, cfg):
        self.optimizer, self.cfg, self.n = optimizer, cfg, 0

    def step(self):
        self.n += 1
        up = self.n / self.cfg.ramp  # fix: up = min(1.0, self.n / self.cfg.ramp)
        decay = 1.0 / (1.0 + 0.001 * self.n)
        for group in self.optimizer.param_groups:
            group["lr"] = self.cfg.peak * up * decay


cfg = Config()
torch.manual_seed(cfg.seed)
data = make_weather(cfg)
model = Forecaster(3, cfg.hidden)
optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9)
ramp = Ramp(optimizer, cfg)
recent = []
for step in range(cfg.steps):
    ramp.step()
    start = torch.randint(0, cfg.days - cfg.window - 1, (cfg.batch,))
    rows = start[:, None] + torch.arange(cfg.window)
    x, y = data[rows], data[start + cfg.window, 0]
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = (recent + [loss.item()])[-40:]
    if step % 50 == 0:
        print(f"{step:4d}  loss {loss.item():.4f}")
print("final loss", sum(recent) / len(recent))
