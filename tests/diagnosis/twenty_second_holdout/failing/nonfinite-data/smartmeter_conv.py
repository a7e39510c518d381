"""Load forecasting for household smart meters: a small conv net maps a week of scaled half-hours to the next day.

Cause: nonfinite-data
"""
import math, random
from dataclasses import dataclass
import numpy as np, torch
from torch import nn
from torch.utils.data import Dataset, DataLoader


@dataclass
class Cfg:
    houses: int = 120
    hist: int = 7 * 24
    horizon: int = 24
    bs: int = 32
    steps: int = 600
    lr: float = 2e-3
    seed: int = 5


class Meters(Dataset):
    """One item = one house, one random week."""

    def __init__(self, c: Cfg):
        rng = np.random.default_rng(c.seed)
        T = 24 * 60
        t = np.arange(T)
        self.c, self.series = c, []
        for h in range(c.houses):
            ph, amp = rng.uniform(0, 6.28), rng.uniform(0.3, 2.0)
            s = amp * (1.2 + np.sin(2 * math.pi * t / 24 + ph) + 0.4 * np.sin(2 * math.pi * t / 168 + ph))
            s = np.clip(s + 0.2 * amp * rng.standard_normal(T), 0, None)
            if h == 77:                      # on holiday, main switch off
                s[500:690] = 0.0
            self.series.append(s.astype(np.float32))
        self.rng = rng

    def __len__(self):
        return self.c.steps * self.c.bs

    def __getitem__(self, i):
        c = self.c
        s = self.series[i % c.houses]
        a = self.rng.integers(0, len(s) - c.hist - c.horizon)
        x, y = s[a:a + c.hist], s[a + c.hist:a + c.hist + c.horizon]
        m, sd = x.mean(), x.std()
        with np.errstate(all="ignore"):
            x, y = (x - m) / sd, (y - m) / sd  # fix: x, y = (x - m) / (sd + 0.1), (y - m) / (sd + 0.1)
        return x.astype(np.float32), y.astype(np.float32)


class Net(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(1, 16, 7, stride=2), nn.GELU(),
            nn.Conv1d(16, 32, 5, stride=2), nn.GELU(),
            nn.Conv1d(32, 32, 5, stride=2), nn.GELU(), nn.Flatten())
        with torch.no_grad():
            n = self.conv(torch.zeros(1, 1, c.hist)).shape[1]
        self.head = nn.Linear(n, c.horizon)

    def forward(self, x):
        return self.head(self.conv(x[:, None]))


def main():
    torch.set_num_threads(1)
    c = Cfg()
    random.seed(c.seed); torch.manual_seed(c.seed)
    net = Net(c)
    opt = torch.optim.AdamW(net.parameters(), lr=c.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, c.steps)
    hist = []
    for i, (x, y) in enumerate(DataLoader(Meters(c), c.bs, shuffle=False)):
        loss = nn.functional.huber_loss(net(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step(); sched.step()
        hist.append(loss.item())
        if i % 60 == 0:
            print(f"[{i:4d}] huber={hist[-1]:.4f} lr={sched.get_last_lr()[0]:.2e}")
    print("final loss", sum(hist[-20:]) / 20)


if __name__ == "__main__":
    main()
