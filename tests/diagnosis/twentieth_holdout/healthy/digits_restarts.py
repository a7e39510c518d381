"""Residual batch-norm net on digits, learning rate 0.6 with warm restarts."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(2)
d = load_digits()
p = torch.randperm(len(d.target))
X = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1)[p] / 8 - 1
Y = torch.tensor(d.target)[p]


class R(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.f = nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return torch.relu(x + self.f(x))


net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), R(16), nn.MaxPool2d(2), R(16), R(16), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.6, momentum=0.9, weight_decay=5e-4, nesterov=True)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=40, T_mult=2)
for step in range(280):
    i = torch.randint(0, 1500, (64,))
    loss = nn.functional.cross_entropy(net(X[i]), Y[i], label_smoothing=0.05)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 28 == 0:
        print(step, loss.item())
net.eval()
with torch.no_grad():
    print("final loss", nn.functional.cross_entropy(net(X[1500:]), Y[1500:]).item())
