"""Forecasts tomorrow's temperature anomaly from hourly pressure, humidity and wind with an LSTM.

Cause: input-scale
Fails: pressure in pascal pins the gates of the LSTM, the loss stays at the variance of the target
"""
import numpy as np
import torch
import torch.nn as nn


class WeatherSet(torch.utils.data.Dataset):
    def __init__(self, n=1200, hours=24, seed=5):
        g = np.random.default_rng(seed)
        phase = g.uniform(0, 2 * np.pi, (n, 1))
        t = np.arange(hours)[None]
        front = g.normal(0, 1, (n, 1))
        pressure = 101325 + 800 * front * (t / hours) + 300 * np.sin(t / 4 + phase)
        humidity = 60 - 10 * np.cos(t / 4 + phase) + g.normal(0, 2, (n, hours))
        wind = 5 + 2 * np.abs(front) + g.normal(0, 1, (n, hours))
        self.x = torch.tensor(np.stack([pressure, humidity, wind], -1), dtype=torch.float32)
        self.y = torch.tensor((front[:, 0] + np.sin(phase[:, 0])), dtype=torch.float32)
        # fix: self.x = (self.x - self.x.mean((0, 1))) / self.x.std((0, 1))

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 48, batch_first=True)
        self.head = nn.Linear(48, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1]).squeeze(-1)


def train(epochs=12):
    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(WeatherSet(), batch_size=32, shuffle=True, drop_last=True)
    net = Forecaster()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(epochs):
        hist = []
        for x, y in loader:
            loss = nn.functional.mse_loss(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            hist.append(loss.item())
        print(f"[{epoch}] mse={np.mean(hist):.4f}")
    return float(np.mean(hist))


print("final loss", train())
