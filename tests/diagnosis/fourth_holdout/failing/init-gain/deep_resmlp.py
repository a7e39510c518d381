"""A 24-block residual MLP on a synthetic tabular regression.

Cause: init-gain
Fails: the first loss is 1.4e10 and it is nan within the first epoch
"""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn


@dataclass
class Config:
    n: int = 2048
    features: int = 16
    width: int = 48
    blocks: int = 24
    lr: float = 5e-3
    batch: int = 64
    epochs: int = 12


class ResBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)
        for fc in (self.fc1, self.fc2):
            nn.init.kaiming_normal_(fc.weight)
            nn.init.zeros_(fc.bias)
        nn.init.kaiming_normal_(self.fc2.weight, nonlinearity="relu")  # fix: nn.init.normal_(self.fc2.weight, std=0.005)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


class ResMLP(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.stem = nn.Linear(cfg.features, cfg.width)
        self.body = nn.Sequential(*[ResBlock(cfg.width) for _ in range(cfg.blocks)])
        self.head = nn.Linear(cfg.width, 1)

    def forward(self, x):
        return self.head(self.body(self.stem(x))).squeeze(-1)


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        g = np.random.default_rng(3)
        x = g.normal(size=(cfg.n, cfg.features)).astype("float32")
        y = np.sin(x[:, 0] * 1.5) + x[:, 1] * x[:, 2] + 0.5 * np.abs(x[:, 3]) + 0.05 * g.normal(size=cfg.n)
        y = (y - y.mean()) / y.std()
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y.astype("float32"))
        self.net = ResMLP(cfg)
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=0.9)

    def epoch(self, ep):
        perm = torch.randperm(self.cfg.n)
        losses = []
        for i in range(0, self.cfg.n, self.cfg.batch):
            idx = perm[i:i + self.cfg.batch]
            loss = nn.functional.mse_loss(self.net(self.x[idx]), self.y[idx])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            losses.append(loss.item())
            if ep == 0 and i == 0:
                print("first batch loss", loss.item())
        return sum(losses) / len(losses)

    def fit(self):
        for ep in range(self.cfg.epochs):
            last = self.epoch(ep)
            print(f"epoch {ep} loss {last:.4f}")
        return last


torch.manual_seed(11)
print("final loss", Trainer(Config()).fit())
