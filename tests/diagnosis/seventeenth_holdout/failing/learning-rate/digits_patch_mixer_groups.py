"""Trains a patch-mixer on the sklearn digits with separate parameter groups and a one-cycle schedule.
Cause: learning-rate
Fails: within the first twenty steps the loss rises as the cycle climbs (to the thousands) and never comes back to its start.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(3)
data = load_digits()
X = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16.0
X = (X - X.mean()) / X.std()
y = torch.tensor(data.target)


class Mixer(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.tok = nn.Sequential(nn.Linear(n, 32), nn.GELU(), nn.Linear(32, n))
        self.ch = nn.Sequential(nn.Linear(d, 96), nn.GELU(), nn.Linear(96, d))

    def forward(self, x):
        x = x + self.tok(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.ch(self.n2(x))


class Net(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.stem = nn.Conv2d(1, d, 2, 2)
        self.body = nn.Sequential(*[Mixer(d, 16) for _ in range(4)])
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.body(x).mean(1))


net = Net()
steps = 160
groups = [
    {"params": list(net.stem.parameters()) + list(net.body.parameters())},
    {"params": net.head.parameters()},
]
opt = torch.optim.AdamW(groups, lr=1e-3, weight_decay=1e-4)
peak = [1.5, 3e-3]  # fix: peak = [3e-3, 3e-3]
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=peak, total_steps=steps, pct_start=0.4)
running = None
for i in range(steps):
    idx = torch.randint(0, len(X), (48,))
    loss = F.cross_entropy(net(X[idx]), y[idx])
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    sched.step()
    running = loss.item() if running is None else 0.9 * running + 0.1 * loss.item()
    if i % 20 == 0:
        print(i, round(running, 4))
print("final loss", round(running, 4))
