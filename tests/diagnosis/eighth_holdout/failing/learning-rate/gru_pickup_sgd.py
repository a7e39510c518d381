"""GRU forecasting taxi pickups per zone, SGD with Nesterov momentum and cosine decay.

Cause: learning-rate
Fails: the loss is not finite from step 17 on
"""
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Cfg:
    zones: int = 12
    hidden: int = 48
    look_back: int = 24
    steps: int = 260
    batch: int = 64
    lr: float = 6.0  # fix: lr: float = 0.1
    momentum: float = 0.9
    seed: int = 17


def make_series(cfg, length=4000):
    t = torch.arange(length).float()
    phase = torch.rand(cfg.zones) * 6.28
    amp = 0.5 + torch.rand(cfg.zones)
    s = amp * torch.sin(t[:, None] * 2 * torch.pi / 24 + phase)
    s += 0.5 * torch.sin(t[:, None] * 2 * torch.pi / 168 + 2 * phase)
    s += 0.1 * torch.randn(length, cfg.zones)
    return (s - s.mean(0)) / s.std(0)


class Net(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.rnn = nn.GRU(cfg.zones, cfg.hidden, batch_first=True)
        self.head = nn.Linear(cfg.hidden, cfg.zones)

    def forward(self, x):
        h, _ = self.rnn(x)
        return self.head(h[:, -1])


class Trainer:
    def __init__(self, cfg):
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        self.data = make_series(cfg)
        self.net = Net(cfg)
        self.opt = torch.optim.SGD(self.net.parameters(), lr=cfg.lr, momentum=cfg.momentum, nesterov=True)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, cfg.steps, eta_min=cfg.lr * 0.1)

    def batch(self):
        c = self.cfg
        i = torch.randint(0, len(self.data) - c.look_back - 1, (c.batch, 1))
        w = self.data[i + torch.arange(c.look_back + 1)]
        return w[:, :-1], w[:, -1]

    def fit(self):
        out = []
        for k in range(self.cfg.steps):
            x, y = self.batch()
            loss = nn.functional.mse_loss(self.net(x), y)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.sched.step()
            out.append(loss.item())
            if k % 40 == 0:
                print(k, round(out[-1], 4))
        return sum(out[-20:]) / 20


print("final loss", Trainer(Cfg()).fit())
