"""A batch-normed MLP on raw lab measurements, evaluated with an averaged (EMA) copy.

Cause: corrupt-state
Fails: the train loss falls to 0.1, but the averaged copy's evaluation loss is between 20 and 4000 throughout, 4e3 at the end
"""
import copy
import torch
import torch.nn as nn

torch.manual_seed(55)


def lab(n):
    z = torch.randn(n, 10)
    scale = torch.logspace(-1, 2.5, 10)
    x = z * scale + 3 * scale
    y = torch.sin(z[:, 0] * 2) + z[:, 4] * z[:, 9] * 0.7 + 0.05 * torch.randn(n)
    return x, y[:, None]


class EMA:
    def __init__(self, model, decay):
        self.model = copy.deepcopy(model).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, live):
        for mine, theirs in zip(self.model.parameters(), live.parameters()):
            mine.lerp_(theirs, 1 - self.decay)
        # fix: [mine.copy_(theirs) for mine, theirs in zip(self.model.buffers(), live.buffers())]


model = nn.Sequential(
    nn.BatchNorm1d(10), nn.Linear(10, 64), nn.BatchNorm1d(64), nn.ReLU(),
    nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 1))
ema = EMA(model, 0.98)
opt = torch.optim.AdamW(model.parameters(), lr=4e-3)
xv, yv = lab(1000)
mse = nn.MSELoss()
for step in range(1200):
    x, y = lab(64)
    loss = mse(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema.update(model)
    if step % 100 == 0:
        with torch.no_grad():
            print(f"step {step} train loss {loss.item():.4f} eval loss {mse(ema.model(xv), yv).item():.4f}")
with torch.no_grad():
    print("final loss", mse(ema.model(xv), yv).item())
