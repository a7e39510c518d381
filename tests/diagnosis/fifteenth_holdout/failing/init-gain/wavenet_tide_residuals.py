"""A dilated residual TCN forecasts the next tide height from the last 64 readings.

Cause: init-gain
Fails: the residual stream doubles in variance at every block, the first loss is enormous and SGD ends in nan
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Cfg:
    width: int = 24
    blocks: int = 16
    context: int = 64
    steps: int = 220
    lr: float = 0.02
    seed: int = 11


class Block(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(c, c, 3, dilation=dilation)
        self.out = nn.Conv1d(c, c, 1)
        for m in (self.conv, self.out):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
        # fix: nn.init.normal_(self.out.weight, std=0.02)

    def forward(self, x):
        h = F.relu(self.conv(F.pad(x, (self.pad, 0))))
        return x + self.out(h)


class TideNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.stem = nn.Conv1d(1, cfg.width, 1)
        self.body = nn.Sequential(*[Block(cfg.width, 2 ** (i % 5)) for i in range(cfg.blocks)])
        self.head = nn.Linear(cfg.width, 1)

    def forward(self, x):
        return self.head(self.body(self.stem(x.unsqueeze(1)))[..., -1]).squeeze(-1)


def tide(n, g):
    t = torch.arange(n, dtype=torch.float32)
    y = 1.1 * torch.sin(2 * math.pi * t / 12.42) + 0.5 * torch.sin(2 * math.pi * t / 12.0 + 0.4)
    y = y + 0.3 * torch.sin(2 * math.pi * t / 23.93) + 0.05 * torch.randn(n, generator=g)
    return (y - y.mean()) / y.std()


def main():
    cfg = Cfg()
    torch.manual_seed(cfg.seed)
    g = torch.Generator().manual_seed(cfg.seed)
    series = tide(3000, g)
    net = TideNet(cfg)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.8)
    history = []
    for step in range(cfg.steps):
        start = torch.randint(0, len(series) - cfg.context - 1, (32,), generator=g)
        idx = start[:, None] + torch.arange(cfg.context + 1)
        w = series[idx]
        loss = F.mse_loss(net(w[:, :-1]), w[:, -1])
        opt.zero_grad()
        loss.backward()
        opt.step()
        history.append(loss.item())
        if step % 40 == 0:
            print(f"{step:4d} {loss.item():.4g}")
    print("final loss", sum(history[-20:]) / 20)


if __name__ == "__main__":
    main()
