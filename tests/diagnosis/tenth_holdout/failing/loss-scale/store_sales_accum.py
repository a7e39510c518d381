"""Daily store sales with an LSTM, gradient accumulation because the laptop only fits small batches.

Cause: loss-scale
Fails: the loss is not finite from update 15 on (360th micro batch)
"""
import numpy as np
import torch
import torch.nn as nn
from dataclasses import dataclass


@dataclass
class Config:
    hidden: int = 40
    window: int = 28
    micro_batch: int = 8
    accumulate: int = 24
    lr: float = 0.1
    updates: int = 110
    seed: int = 99


class SalesData:
    def __init__(self, seed, stores=12, days=700):
        r = np.random.default_rng(seed)
        t = np.arange(days)
        self.series = []
        for s in range(stores):
            base = r.lognormal(5, 0.6)
            wk = 1 + 0.35 * np.sin(2 * np.pi * (t + r.integers(7)) / 7)
            yr = 1 + 0.25 * np.sin(2 * np.pi * t / 365)
            promo = (r.random(days) < 0.08).astype(float)
            y = base * wk * yr * (1 + 0.5 * promo) * r.lognormal(0, 0.06, days)
            ly = np.log(y)
            self.series.append(np.stack([(ly - ly.mean()) / ly.std(), promo, np.sin(2 * np.pi * t / 7), np.cos(2 * np.pi * t / 7)], 1))
        self.series = torch.tensor(np.array(self.series), dtype=torch.float32)

    def sample(self, n, window):
        s = torch.randint(0, self.series.shape[0], (n,))
        k = torch.randint(0, self.series.shape[1] - window - 1, (n,))
        w = torch.stack([self.series[a, b:b + window + 1] for a, b in zip(s, k)])
        return w[:, :-1], w[:, 1:, :1], w[:, 1:, 1:2]


class Net(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.lstm = nn.LSTM(5, h, batch_first=True)
        self.head = nn.Linear(h, 1)

    def forward(self, past, promo_next):
        o, _ = self.lstm(torch.cat([past, promo_next], -1))
        return self.head(o)


class Trainer:
    def __init__(self, cfg):
        torch.manual_seed(cfg.seed)
        self.cfg, self.data, self.net = cfg, SalesData(cfg.seed), Net(cfg.hidden)
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=0.9)

    def micro_loss(self):
        x, y, p = self.data.sample(self.cfg.micro_batch, self.cfg.window)
        return nn.functional.mse_loss(self.net(x, p), y)

    def fit(self):
        hist = []
        for u in range(self.cfg.updates):
            self.opt.zero_grad()
            tot = 0.0
            for _ in range(self.cfg.accumulate):
                loss = self.micro_loss()
                loss.backward()  # fix: (loss / self.cfg.accumulate).backward()
                tot += loss.item() / self.cfg.accumulate
            self.opt.step()
            hist.append(tot)
            if u % 10 == 0:
                print(f"update {u:3d}  mse {tot:.4f}")
        return float(np.mean(hist[-10:]))


if __name__ == "__main__":
    print("final loss", Trainer(Config()).fit())
