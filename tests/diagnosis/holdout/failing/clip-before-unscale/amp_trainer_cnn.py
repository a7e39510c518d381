"""Stripe-pattern CNN with a mixed-precision Trainer (GradScaler, clipping, cosine schedule).

Cause: clip-before-unscale
Fails: the clip norm of one meets gradients multiplied by 65536, the unscaled step is next to nothing and the loss stays at log(4)
"""

import math
from dataclasses import dataclass, field

import torch
from torch import nn
import torch.nn.functional as F


@dataclass
class Config:
    lr: float = 0.05
    steps: int = 130
    batch: int = 48
    max_norm: float = 1.0
    history: list = field(default_factory=list)


def patterns(n):
    y = torch.randint(0, 4, (n,))
    angle = y * math.pi / 4
    i = torch.arange(12.0)
    phase = torch.cos(angle)[:, None, None] * i[None, :, None] + torch.sin(angle)[:, None, None] * i[None, None, :]
    img = torch.sin(1.5 * phase + 6.28 * torch.rand(n, 1, 1)) + 0.3 * torch.randn(n, 12, 12)
    return img[:, None], y


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.bn1 = nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.c2, self.bn2 = nn.Conv2d(12, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 4)
        nn.init.zeros_(self.fc.weight)

    def forward(self, x):
        x = F.relu(self.bn1(self.c1(x)))
        x = F.relu(self.bn2(self.c2(x)))
        return self.fc(x.mean((2, 3)))


class AmpTrainer:
    def __init__(self, model, cfg):
        self.model, self.cfg = model, cfg
        self.optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=0.9, weight_decay=1e-4)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, cfg.steps)
        self.scaler = torch.amp.GradScaler("cpu")

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(self.model(x), y)
        self.scaler.scale(loss).backward()
        # fix: self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.scheduler.step()
        return loss.item()

    def fit(self):
        for _ in range(self.cfg.steps):
            self.cfg.history.append(self.step(*patterns(self.cfg.batch)))
        return self.cfg.history


if __name__ == "__main__":
    torch.manual_seed(2)
    cfg = Config()
    losses = AmpTrainer(SmallCNN(), cfg).fit()
    print("final loss", sum(losses[-10:]) / 10)
