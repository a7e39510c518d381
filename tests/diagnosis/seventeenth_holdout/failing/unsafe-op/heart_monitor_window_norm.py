"""Trains a heart monitor encoder that learns a per-window filter, normalises the filtered window, and classifies the rhythm.
Cause: unsafe-op
Fails: nan within the first epoch, at the first window in which the sensor was off (flat).
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(53)
N, T = 1500, 64
t = torch.arange(T) / T
lab = torch.randint(0, 3, (N,))
freq = torch.tensor([3.0, 5.0, 8.0])[lab]
sig = torch.sin(2 * math.pi * freq[:, None] * t + 6.28 * torch.rand(N, 1)) * (0.5 + torch.rand(N, 1)) + 0.2 * torch.randn(N, T)
sig[[77, 640, 1203]] = 0.0


class Monitor(nn.Module):
    def __init__(self):
        super().__init__()
        self.filt = nn.Conv1d(1, 4, 7, padding=3, bias=False)
        self.body = nn.Sequential(nn.Conv1d(4, 16, 5, stride=2), nn.ReLU(), nn.Conv1d(16, 24, 5, stride=2), nn.ReLU())
        self.head = nn.Linear(24, 3)

    def forward(self, x):
        z = self.filt(x.unsqueeze(1))
        z = z - z.mean(-1, keepdim=True)
        power = z.pow(2).mean(-1, keepdim=True)
        scale = power.sqrt() + 1e-5  # fix: scale = (power + 1e-5).sqrt()
        return self.head(self.body(z / scale).amax(-1))


net = Monitor()
opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
i = 0
for epoch in range(10):
    tot = []
    for b in torch.randperm(N).split(32):
        loss = nn.functional.cross_entropy(net(sig[b]), lab[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot.append(loss.item())
        if epoch == 0 and i % 6 == 0:
            print("it", i, round(loss.item(), 4))
        i += 1
print("final loss", sum(tot) / len(tot))
