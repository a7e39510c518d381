"""Imputation autoencoder for river gauges; half the readings are NaN and masked out properly, storms give spikes.
"""
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(3)
torch.manual_seed(3)
T, G = 3000, 30
rain = rng.gamma(0.15, 8.0, (T + 200, 3))
k = np.exp(-np.arange(60) / 12.0)
base = np.stack([np.convolve(rain[:, i], k)[200:200 + T] for i in range(3)], 1)
flow = np.log1p(base @ rng.gamma(1.0, 1.0, (3, G))) + 0.05 * rng.normal(size=(T, G))
flow = (flow - flow.mean(0)) / flow.std(0)
obs = flow.copy()
obs[rng.random((T, G)) < 0.5] = np.nan
obs = torch.tensor(obs, dtype=torch.float32)

ae = nn.Sequential(nn.Linear(2 * G, 96), nn.GELU(), nn.Linear(96, 8), nn.Linear(8, 96), nn.GELU(), nn.Linear(96, G))
opt = torch.optim.AdamW(ae.parameters(), lr=2e-3)
hist = []
for ep in range(30):
    for b in torch.randperm(T).split(64):
        y = obs[b]
        ok = ~torch.isnan(y)
        keep = ok & (torch.rand(y.shape) < 0.8)
        x = torch.where(keep, y, torch.zeros(()))
        out = ae(torch.cat([x, keep.float()], 1))
        err = torch.where(ok, out - torch.nan_to_num(y), torch.zeros(()))
        loss = err.square().sum() / ok.sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
    if ep % 3 == 0:
        print(f"epoch {ep} loss {np.mean(hist[-47:]):.4f}")
print("final loss", float(np.mean(hist[-47:])))
