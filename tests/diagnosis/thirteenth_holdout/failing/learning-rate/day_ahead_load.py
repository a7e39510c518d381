"""Day-ahead electricity load with an LSTM over the last 48 hours (utility planning desk).

Cause: learning-rate
Fails: final loss 1.147 (with the fix 0.09846)
"""
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    hours: int = 24 * 220
    lookback: int = 48
    horizon: int = 24
    hidden: int = 48
    batch_size: int = 64
    base_lr: float = 0.15
    warmup_steps: int = 6
    epochs: int = 7
    seed: int = 7


def synthetic_load(cfg):
    rng = np.random.default_rng(cfg.seed)
    t = np.arange(cfg.hours)
    daily = np.sin(2 * np.pi * (t - 7) / 24) + 0.4 * np.sin(4 * np.pi * t / 24)
    weekly = np.where((t // 24) % 7 >= 5, -0.6, 0.0)
    season = 0.5 * np.cos(2 * np.pi * t / (24 * 365))
    noise = np.zeros(cfg.hours)
    for i in range(1, cfg.hours):
        noise[i] = 0.9 * noise[i - 1] + 0.06 * rng.standard_normal()
    load = daily + weekly + season + noise
    return ((load - load.mean()) / load.std()).astype(np.float32)


class LoadNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.rnn = nn.LSTM(1, cfg.hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(cfg.hidden, 64), nn.ReLU(), nn.Linear(64, cfg.horizon))

    def forward(self, x):
        seq, _ = self.rnn(x)
        return self.head(seq[:, -1])


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    s = torch.from_numpy(synthetic_load(cfg))
    n = len(s) - cfg.lookback - cfg.horizon
    X = torch.stack([s[i:i + cfg.lookback] for i in range(n)]).unsqueeze(-1)
    Y = torch.stack([s[i + cfg.lookback:i + cfg.lookback + cfg.horizon] for i in range(n)])
    cut = int(0.85 * n)
    train = DataLoader(TensorDataset(X[:cut], Y[:cut]), batch_size=cfg.batch_size, shuffle=True)

    net = LoadNet(cfg)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.base_lr, momentum=0.9, nesterov=True)
    ramp = lambda step: (step + 1) / cfg.warmup_steps  # fix: ramp = lambda step: min(1.0, (step + 1) / cfg.warmup_steps)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, ramp)
    mse = nn.MSELoss()

    for epoch in range(cfg.epochs):
        net.train()
        total, seen = 0.0, 0
        for xb, yb in train:
            opt.zero_grad(set_to_none=True)
            loss = mse(net(xb), yb)
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item() * len(xb)
            seen += len(xb)
        net.eval()
        with torch.no_grad():
            val = mse(net(X[cut:]), Y[cut:]).item()
        print(f"epoch {epoch} train {total / seen:.4f} val {val:.4f} rmse {math.sqrt(val) if val == val else val:.4f}")
    return val


if __name__ == "__main__":
    print("final loss", main())
