"""Trains a convnet imputer on sensor windows where a third of the readings are NaN; mask channel and masked loss."""
import math
import torch
import torch.nn as nn

torch.manual_seed(3)
N, T = 1500, 48
t = torch.arange(T).float()
full = torch.sin(2 * math.pi * (0.03 + 0.05 * torch.rand(N, 1)) * t + 6.28 * torch.rand(N, 1))
obs = full.clone()
obs[torch.rand(N, T) < 0.33] = float("nan")
m = obs.isfinite()
x = torch.stack([torch.nan_to_num(obs), m.float()], 1)
net = nn.Sequential(nn.Conv1d(2, 24, 9, padding=4), nn.ReLU(), nn.Conv1d(24, 24, 9, padding=4), nn.ReLU(), nn.Conv1d(24, 1, 9, padding=4))
opt = torch.optim.AdamW(net.parameters(), 3e-3)
for ep in range(14):
    s = []
    for b in torch.randperm(N).split(50):
        hide = (torch.rand(len(b), 1, T) < 0.3) & m[b][:, None]
        inp = x[b] * (~hide).float()
        pred = net(inp)
        err = torch.where(hide[:, 0], pred[:, 0] - torch.nan_to_num(obs[b]), torch.zeros(()))
        loss = err.pow(2).sum() / hide.sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        s.append(loss.item())
    if ep % 3 == 0:
        print(ep, sum(s) / len(s))
print("final loss", sum(s) / len(s))
