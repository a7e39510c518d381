"""Trains a YOLOv1-like grid detector on drawn rectangles with SGD and momentum.

Cause: learning-rate
Fails: the loss is NaN within the first few dozen steps
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_num_threads(1)
S, IMG, C = 4, 32, 2


def make(n, g):
    x = torch.randn(n, 1, IMG, IMG, generator=g) * 0.1
    y = torch.zeros(n, S, S, 5 + C)
    for i in range(n):
        for _ in range(int(torch.randint(1, 3, (1,), generator=g))):
            w, h = [int(v) for v in torch.randint(5, 14, (2,), generator=g)]
            x0, y0 = [int(v) for v in torch.randint(0, IMG - 14, (2,), generator=g)]
            c = int(torch.randint(0, C, (1,), generator=g))
            x[i, 0, y0:y0 + h, x0:x0 + w] += 1.0 if c == 0 else -1.0
            cx, cy = (x0 + w / 2) / IMG * S, (y0 + h / 2) / IMG * S
            gi, gj = int(cx), int(cy)
            y[i, gj, gi] = 0
            y[i, gj, gi, :5] = torch.tensor([cx - gi, cy - gj, (w / IMG) ** 0.5, (h / IMG) ** 0.5, 1.0])
            y[i, gj, gi, 5 + c] = 1
    return x, y


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        ch = [1, 16, 32, 64]
        self.body = nn.Sequential(*[m for a, b in zip(ch, ch[1:]) for m in (nn.Conv2d(a, b, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2))])
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64 * 16, 256), nn.LeakyReLU(0.1), nn.Linear(256, S * S * (5 + C)))

    def forward(self, x):
        return self.head(self.body(x)).view(-1, S, S, 5 + C)


def yolo_loss(p, t):
    obj = t[..., 4:5]
    xy = (obj * (p[..., :2] - t[..., :2]) ** 2).sum((1, 2, 3))
    wh = (obj * (p[..., 2:4] - t[..., 2:4]) ** 2).sum((1, 2, 3))
    conf = (obj * (p[..., 4:5] - 1) ** 2).sum((1, 2, 3)) + 0.5 * ((1 - obj) * p[..., 4:5] ** 2).sum((1, 2, 3))
    cls = (obj * (p[..., 5:] - t[..., 5:]) ** 2).sum((1, 2, 3))
    return (5 * xy + 5 * wh + conf + cls).mean()


g = torch.Generator().manual_seed(0)
X, Y = make(800, g)
XV, YV = make(200, g)
net = Detector()
opt = torch.optim.SGD(net.parameters(), lr=1e-1, momentum=0.9, weight_decay=5e-4)  # fix: opt = torch.optim.SGD(net.parameters(), lr=5e-3, momentum=0.9, weight_decay=5e-4)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, [250, 350], 0.3)
for step in range(400):
    i = torch.randint(0, 800, (16,), generator=g)
    loss = yolo_loss(net(X[i]), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
net.eval()
with torch.no_grad():
    print("final loss", yolo_loss(net(XV), YV).item())
