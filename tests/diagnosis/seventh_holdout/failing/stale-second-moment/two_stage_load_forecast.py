"""Electricity load forecasting, deep MLP on the last day, two stages with one Adam (per-unit loss first, feeder units later).

Cause: stale-second-moment
Fails: beta2=0.99999 remembers the small gradients of the first stage; when the second stage gives gradients 1e8 times as large, updates are several lr long for tens of steps; mse goes from 0.03 to 1.5 and stays at 1.0 (variance of the data)
"""
from dataclasses import dataclass
import numpy as np
import torch
from torch import nn


@dataclass
class Config:
    lr: float = 2e-2
    betas: tuple = (0.9, 0.99999)  # fix: betas: tuple = (0.9, 0.95)
    hidden: int = 96
    window: int = 24
    stage1: int = 700
    stage2: int = 600
    batch: int = 32
    seed: int = 11


def make_series(cfg):
    rng = np.random.default_rng(cfg.seed)
    t = np.arange(24 * 400)
    hour = t % 24
    day = np.sin((hour - 6) / 24 * 2 * np.pi) + 0.4 * np.sin(hour / 12 * 2 * np.pi)
    week = 0.3 * ((t // 24) % 7 < 5)
    ar = np.zeros(len(t))
    for i in range(1, len(t)):
        ar[i] = 0.9 * ar[i - 1] + 0.1 * rng.standard_normal()
    load = day + week + ar
    return torch.tensor((load - load.mean()) / load.std(), dtype=torch.float32), hour


class Forecaster(nn.Module):
    def __init__(self, h):
        super().__init__()
        layers, d = [], 24
        for _ in range(6):
            layers += [nn.Linear(d, h), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight, nonlinearity="relu")
            d = h
        self.net = nn.Sequential(*layers, nn.Linear(d, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


class Trainer:
    def __init__(self, cfg):
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        self.series, hour = make_series(cfg)
        w = cfg.window
        starts = np.arange(len(self.series) - w - 1)
        self.all = torch.tensor(starts[:-1000])
        self.val = torch.tensor(starts[-1000:])
        self.net = Forecaster(cfg.hidden)
        self.opt = torch.optim.Adam(self.net.parameters(), lr=cfg.lr, betas=cfg.betas)
        self.g = torch.Generator().manual_seed(cfg.seed)

    def batch(self, pool):
        s = pool[torch.randint(len(pool), (self.cfg.batch,), generator=self.g)]
        return self.windows(s)

    def windows(self, s):
        w = self.cfg.window
        idx = s[:, None] + torch.arange(w + 1)
        z = self.series[idx]
        return z[:, :-1], z[:, -1]

    def fit(self, steps, scale, name):
        hist = []
        for i in range(steps):
            x, y = self.batch(self.all)
            # stage 1 works in per-unit of the transformer rating, stage 2 in feeder units
            loss = ((self.net(x) - y) * scale).pow(2).mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            hist.append(loss.item() / scale ** 2)
            if i % 50 == 0:
                print(f"[{name}] step {i} mse {hist[-1]:.4f}")
        return hist

    def validate(self):
        with torch.no_grad():
            x, y = self.windows(self.val)
            return (self.net(x) - y).pow(2).mean().item()


if __name__ == "__main__":
    cfg = Config()
    tr = Trainer(cfg)
    tr.fit(cfg.stage1, 0.01, "stage1")
    print("val", tr.validate())
    tr.fit(cfg.stage2, 100.0, "stage2")
    print("final loss", tr.validate())
