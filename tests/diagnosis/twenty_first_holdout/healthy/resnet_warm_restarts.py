"""Trains a small batch-normalised residual network with mixup and SGD at a learning rate of 0.8, cosine decay with warm restarts."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(8)
np.random.seed(8)
torch.set_num_threads(1)
d = load_digits()
X = (torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16 - 0.3) / 0.38
Y = torch.tensor(d.target)


class Block(nn.Module):
    def __init__(self, a, b, s):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(a, b, 3, s, 1, bias=False), nn.BatchNorm2d(b)
        self.c2, self.b2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.skip = nn.Identity() if a == b and s == 1 else nn.Conv2d(a, b, 1, s, bias=False)
        nn.init.zeros_(self.b2.weight)

    def forward(self, x):
        return F.relu(self.skip(x) + self.b2(self.c2(F.relu(self.b1(self.c1(x))))))


net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.8, momentum=0.9, nesterov=True, weight_decay=5e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 50, 2)
g = torch.Generator().manual_seed(4)
for step in range(350):
    i = torch.randint(0, 1400, (48,), generator=g)
    lam, p = np.random.beta(0.2, 0.2), torch.randperm(48, generator=g)
    x, y = X[i], Y[i]
    out = net(lam * x + (1 - lam) * x[p])
    loss = lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[p])
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 35 == 0:
        print("step", step, "loss", round(loss.item(), 4), "lr", round(sched.get_last_lr()[0], 4))
net.eval()
with torch.no_grad():
    print("final loss", F.cross_entropy(net(X[1400:]), Y[1400:]).item())
