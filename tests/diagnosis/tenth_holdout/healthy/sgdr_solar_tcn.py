"""Dilated conv forecaster of solar feed-in in watts with warm restarts; the loss is in the hundred thousands and jumps at each restart."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(14)
rng = np.random.default_rng(14)
t = np.arange(4000)
cloud = np.zeros(4000)
for i in range(1, 4000):
    cloud[i] = 0.9 * cloud[i - 1] + rng.normal(0, 0.3)
watts = 2500 * np.maximum(np.sin(2 * np.pi * (t - 6) / 24), 0) / (1 + np.exp(cloud)) + rng.normal(0, 15, 4000)
x = torch.tensor(np.stack([watts / 1000, np.sin(2 * np.pi * t / 24), np.cos(2 * np.pi * t / 24)], 0), dtype=torch.float32)
w = torch.tensor(watts, dtype=torch.float32)


class Net(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(3 if i == 0 else ch, ch, 3, dilation=2 ** i, padding=0) for i in range(4)])
        self.out = nn.Linear(ch, 1)

    def forward(self, z):
        for i, c in enumerate(self.convs):
            z = F.relu(c(F.pad(z, (2 * 2 ** i, 0))))
        return self.out(z[:, :, -1]).squeeze(-1) * 1000


net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=1.2e-2)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=100, T_mult=2)
hist = []
for step in range(700):
    i = torch.randint(0, 4000 - 49, (48,))
    xb = torch.stack([x[:, j:j + 48] for j in i])
    loss = F.mse_loss(net(xb), w[i + 48])
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", float(np.mean(hist[-30:])))
