"""A tiny detector head with focal loss; the rare-class prior bias of RetinaNet is given to every layer.

Cause: dead-units
Fails: a bias of minus 9.2 under each ReLU keeps all hidden units at zero, only the output bias can learn and the loss stays put
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(44)
PRIOR = 0.0001


class Head(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.tower = nn.Sequential(
            nn.Conv2d(2, ch, 3, padding=1), nn.ReLU(), nn.Conv2d(ch, ch, 3, padding=1), nn.ReLU()
        )
        self.cls = nn.Conv2d(ch, 1, 3, padding=1)
        for m in self.tower:
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                m.bias.data.fill_(-math.log((1 - PRIOR) / PRIOR))  # fix: m.bias.data.zero_()
        nn.init.normal_(self.cls.weight, std=0.01)
        nn.init.constant_(self.cls.bias, -math.log((1 - 0.33) / 0.33))

    def forward(self, x):
        return self.cls(self.tower(x)).squeeze(1)


def focal(logit, target, gamma=2.0):
    p = torch.sigmoid(logit)
    ce = F.binary_cross_entropy_with_logits(logit, target, reduction="none")
    pt = p * target + (1 - p) * (1 - target)
    return ((1 - pt) ** gamma * ce).sum() / target.sum().clamp(min=1)


def scenes(n=16, size=16):
    """Plus signs in one channel, clutter in the other; the centres are the positives."""
    img, tgt = 0.5 * torch.randn(n, 2, size, size), torch.zeros(n, size, size)
    for i in range(n):
        for _ in range(4):
            r, c = torch.randint(1, size - 1, (2,)).tolist()
            img[i, 0, r - 1 : r + 2, c] += 1.5
            img[i, 0, r, c - 1 : c + 2] += 1.5
            tgt[i, r - 1 : r + 2, c - 1 : c + 2] = 1
    return img, tgt


net = Head()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
losses = []
for step in range(150):
    img, tgt = scenes()
    loss = focal(net(img), tgt)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
