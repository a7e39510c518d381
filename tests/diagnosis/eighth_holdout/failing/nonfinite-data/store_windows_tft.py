"""Small temporal transformer on store sales; every window is standardised by its own history.

Cause: nonfinite-data
Fails: the loss is not finite from step 10 on
"""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(31)
torch.manual_seed(31)
HIST, FUT = 28, 7


def build_panel(stores=60, days=400):
    d = np.arange(days)
    weekly = 1 + 0.4 * np.sin(2 * np.pi * (d[None] + rng.integers(0, 7, (stores, 1))) / 7)
    level = rng.uniform(50, 400, (stores, 1)) * (1 + 0.2 * np.sin(2 * np.pi * d / 200))
    sales = level * weekly * rng.normal(1, 0.05, (stores, days))
    sales[7, 150:230] = 0.0  # refurbishment
    return sales


def windows(sales, count=4000):
    xs, ys = [], []
    for _ in range(count):
        s, t = rng.integers(len(sales)), rng.integers(sales.shape[1] - HIST - FUT)
        h, f = sales[s, t:t + HIST], sales[s, t + HIST:t + HIST + FUT]
        mu, sd = h.mean(), h.std()
        # fix: mu, sd = (mu, sd) if sd > 0 else (f.mean(), f.std() + 1.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            xs.append((h - mu) / sd)
            ys.append((f - mu) / sd)
    return torch.tensor(np.array(xs), dtype=torch.float32), torch.tensor(np.array(ys), dtype=torch.float32)


X, Y = windows(build_panel())


class TemporalNet(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.inp = nn.Linear(1, d)
        self.pos = nn.Parameter(0.1 * torch.randn(HIST, d))
        self.enc = nn.TransformerEncoderLayer(d, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(d * HIST, FUT)

    def forward(self, x):
        return self.out(self.enc(self.inp(x[..., None]) + self.pos).flatten(1))


net = TemporalNet()
opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
seen = []
for step in range(250):
    i = torch.randint(0, len(X), (32,))
    loss = nn.functional.l1_loss(net(X[i]), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    seen.append(loss.item())
    if step % 50 == 0:
        print(step, seen[-1])
print("final loss", sum(seen[-20:]) / 20)
