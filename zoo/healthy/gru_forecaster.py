"""A GRU forecaster of hourly temperatures: RMSprop, cosine restarts, clipping by value, early part warmed up."""

import math

import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, window):
        states, _ = self.gru(window)
        return self.out(states[:, -1]).squeeze(-1)


def temperatures(hours):
    t = torch.arange(hours, dtype=torch.float32)
    daily = 6 * torch.sin(2 * math.pi * t / 24)
    weekly = 4 * torch.sin(2 * math.pi * t / 168)
    weather = torch.cumsum(torch.randn(hours), 0) * 0.3
    return 12 + daily + weekly + weather - weather.mean(), t


def main():
    torch.manual_seed(7)
    series, t = temperatures(2000)
    series = (series - series.mean()) / series.std()
    clock = torch.sin(2 * math.pi * t / 24)
    frames = torch.stack([series, clock], 1)
    windows = frames.unfold(0, 48, 1).transpose(1, 2)[:-1]
    targets = series[48:]
    model = Forecaster()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=50, T_mult=2)
    running = None
    for step in range(300):
        chosen = torch.randint(0, len(targets), (32,))
        loss = nn.functional.huber_loss(model(windows[chosen]), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
        if step % 100 == 0:
            print(step, running)
    print("final loss", running)


if __name__ == "__main__":
    main()
