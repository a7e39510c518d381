"""Trains a solar power forecaster (residual MLP over lags) with AdamW and a small step, all in one working dtype.
Cause: half-overflow
Fails: the loss stays close to where it began; most weights never change.
"""
import math
import torch
from torch import nn

torch.manual_seed(83)
N = 5000
hr = torch.arange(N).float()
cloud = torch.zeros(N)
for i in range(1, N):
    cloud[i] = 0.9 * cloud[i - 1] + 0.15 * torch.randn(())
sun = (torch.sin(2 * math.pi * (hr % 24 - 6) / 24)).clamp(min=0) * torch.sigmoid(2 - 2 * cloud)
z = (sun - sun.mean()) / sun.std()
X, Y = z.unfold(0, 48, 1)[:-1], z[48:]


class Res(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.f = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))

    def forward(self, x):
        return x + self.f(x)


model = nn.Sequential(nn.Linear(48, 64), Res(64), Res(64), nn.LayerNorm(64), nn.Linear(64, 1))
model = model.to(torch.bfloat16)  # fix: model = model.to(torch.float32)
dtype = next(model.parameters()).dtype
opt = torch.optim.AdamW(model.parameters(), lr=1.5e-5, weight_decay=0.0)
avg = None
for step in range(1000):
    i = torch.randint(0, len(X), (64,))
    pred = model(X[i].to(dtype)).squeeze(1)
    loss = (pred.float() - Y[i]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    avg = loss.item() if avg is None else 0.96 * avg + 0.04 * loss.item()
    if step % 100 == 0:
        print(step, round(avg, 4))
print("final loss", round(avg, 4))
