"""Probabilistic wind power forecast, 12 horizons x 5 quantiles, pinball loss.

Cause: loss-scale
Fails: final loss 18.96 (with the fix 0.08968)
"""
import torch
import torch.nn as nn

QUANTILES = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
HORIZON, CONTEXT = 12, 36


def wind_series(n, g):
    out = torch.empty(n)
    z = 0.0
    for i in range(n):
        z = 0.96 * z + 0.28 * torch.randn((), generator=g).item()
        out[i] = z
    return torch.sigmoid(out + 0.6 * torch.sin(torch.arange(n) * 0.26)) * 2 - 1


def pinball(pred, target):
    err = target.unsqueeze(-1) - pred
    per = torch.maximum(QUANTILES * err, (QUANTILES - 1) * err)
    return per.sum()  # fix: return per.mean()


class QuantileForecaster(nn.Module):
    def __init__(self, hid=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hid, num_layers=1, batch_first=True)
        self.proj = nn.Linear(hid, HORIZON * len(QUANTILES))

    def forward(self, x):
        _, (h, _) = self.lstm(x.unsqueeze(-1))
        return self.proj(h[-1]).view(-1, HORIZON, len(QUANTILES))


g = torch.Generator().manual_seed(77)
torch.manual_seed(77)
series = wind_series(4000, g)
split = 3200
model = QuantileForecaster()
opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
sched = torch.optim.lr_scheduler.StepLR(opt, 150, gamma=0.5)


def windows(lo, hi, n):
    s = torch.randint(lo, hi - CONTEXT - HORIZON, (n,), generator=g)
    x = torch.stack([series[i:i + CONTEXT] for i in s])
    y = torch.stack([series[i + CONTEXT:i + CONTEXT + HORIZON] for i in s])
    return x, y


for step in range(450):
    x, y = windows(0, split, 64)
    loss = pinball(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 50 == 0:
        with torch.no_grad():
            xv, yv = windows(split, 4000, 256)
            cov = (yv.unsqueeze(-1) < model(xv)).float().mean((0, 1))
        print(step, loss.item(), "coverage", [round(c, 2) for c in cov.tolist()])

with torch.no_grad():
    xv, yv = windows(split, 4000, 512)
    e = yv.unsqueeze(-1) - model(xv)
    score = torch.maximum(QUANTILES * e, (QUANTILES - 1) * e).mean().item()
print("final loss", score)
