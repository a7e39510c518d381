"""Trains a RetinaNet-like one-level detector head with focal loss on drawn squares.

Cause: dead-units
Fails: the focal loss creeps along just below its start; the head gives one constant answer everywhere
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(100)
torch.set_num_threads(1)
S, G, C = 24, 6, 2


def scenes(n, g):
    x = 0.2 * torch.randn(n, 1, S, S, generator=g)
    y = torch.zeros(n, C, G, G)
    for i in range(n):
        for _ in range(2):
            a, b = [int(v) for v in torch.randint(0, G, (2,), generator=g)]
            c = int(torch.randint(0, C, (1,), generator=g))
            x[i, 0, 4 * a:4 * a + 4, 4 * b:4 * b + 4] += 1.0
            if c:
                x[i, 0, 4 * a + 1:4 * a + 3, 4 * b + 1:4 * b + 3] -= 1.0
            y[i, :, a, b] = 0
            y[i, c, a, b] = 1
    return x, y


class RetinaHead(nn.Module):
    def __init__(self, w=16, prior=0.01):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, w, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(w, w, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.tower = nn.Sequential(*[m for _ in range(3) for m in (nn.Conv2d(w, w, 3, padding=1), nn.ReLU())])
        self.cls = nn.Conv2d(w, C, 3, padding=1)
        bias = -math.log((1 - prior) / prior)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
                nn.init.constant_(m.bias, bias)  # fix: nn.init.constant_(m.bias, bias if m is self.cls else 0.0)

    def forward(self, x):
        return self.cls(self.tower(self.backbone(x)))


def focal(logits, y, alpha=0.25, gamma=2.0):
    ce = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    p = torch.sigmoid(logits)
    pt = p * y + (1 - p) * (1 - y)
    a = alpha * y + (1 - alpha) * (1 - y)
    return (a * (1 - pt) ** gamma * ce).sum() / y.sum()


g = torch.Generator().manual_seed(9)
X, Y = scenes(600, g)
XV, YV = scenes(150, g)
net = RetinaHead()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(300):
    i = torch.randint(0, 600, (16,), generator=g)
    loss = focal(net(X[i]), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", focal(net(XV), YV).item())
