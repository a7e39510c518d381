"""A seasonal-trend linear forecaster (DLinear style) predicts the standardised pressure change from raw barometer windows.

Cause: input-scale
Fails: windows enter in hectopascal around 1013, the linear layers diverge within a few steps
"""
import math

import torch
from torch import nn


class MovingAverage(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.k = k

    def forward(self, x):
        front = x[:, :1].expand(-1, (self.k - 1) // 2)
        back = x[:, -1:].expand(-1, self.k // 2)
        return torch.nn.functional.avg_pool1d(torch.cat([front, x, back], 1).unsqueeze(1), self.k, 1).squeeze(1)


class DLinear(nn.Module):
    def __init__(self, ctx, horizon):
        super().__init__()
        self.ma = MovingAverage(9)
        self.trend = nn.Linear(ctx, horizon)
        self.season = nn.Linear(ctx, horizon)

    def forward(self, x):
        trend = self.ma(x)
        return self.trend(trend) + self.season(x - trend)


class Windows(torch.utils.data.Dataset):
    """Yields a context window and the scaled deviation of the next hours from the station mean."""

    def __init__(self, hpa, ctx=48, horizon=6):
        self.hpa, self.ctx, self.horizon = hpa, ctx, horizon
        self.mu, self.sd = hpa.mean(), hpa.std()

    def __len__(self):
        return len(self.hpa) - self.ctx - self.horizon

    def __getitem__(self, i):
        past = self.hpa[i : i + self.ctx]  # fix: past = (self.hpa[i : i + self.ctx] - self.mu) / self.sd
        future = self.hpa[i + self.ctx : i + self.ctx + self.horizon]
        return past, (future - self.mu) / self.sd


torch.manual_seed(40)
t = torch.arange(2500).float()
walk = torch.zeros(2500)
for i in range(1, 2500):
    walk[i] = 0.985 * walk[i - 1] + 0.9 * torch.randn(()).item()
pressure = 1013.2 + 1.2 * torch.sin(2 * math.pi * t / 12) + walk

loader = torch.utils.data.DataLoader(Windows(pressure), batch_size=64, shuffle=True)
model = DLinear(48, 6)
opt = torch.optim.SGD(model.parameters(), lr=0.01)
seen = []
for epoch in range(10):
    for past, future in loader:
        loss = nn.functional.smooth_l1_loss(model(past), future)
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen.append(loss.item())
    print(f"epoch {epoch}: {sum(seen[-38:]) / 38:.4g}")
print("final loss", sum(seen[-38:]) / 38)
