"""A small temporal convolution net that forecasts the next value of a noisy seasonal series.

Cause: learning-rate
Fails: the loss grows from the first step and is not finite from step 3 on
"""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    seed: int = 5
    window: int = 48
    channels: int = 16
    batch: int = 32
    epochs: int = 14
    lr: float = 0.9  # fix: lr: float = 0.02


class CausalBlock(nn.Module):
    def __init__(self, c_in, c_out, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(c_in, c_out, 3, dilation=dilation)
        self.skip = nn.Conv1d(c_in, c_out, 1)

    def forward(self, x):
        return F.relu(self.conv(F.pad(x, (self.pad, 0)))) + self.skip(x)


def series(n):
    t = torch.arange(n, dtype=torch.float32)
    clean = torch.sin(t * 2 * torch.pi / 24) + 0.5 * torch.sin(t * 2 * torch.pi / 7)
    return clean + 0.1 * torch.randn(n)


def windows(s, w):
    u = s.unfold(0, w + 1, 1)
    return u[:, :-1].unsqueeze(1), u[:, -1]


def run(cfg):
    torch.manual_seed(cfg.seed)
    xs, ys = windows(series(2000), cfg.window)
    loader = DataLoader(TensorDataset(xs, ys), cfg.batch, shuffle=True, drop_last=True)
    c = cfg.channels
    body = nn.Sequential(CausalBlock(1, c, 1), CausalBlock(c, c, 2), CausalBlock(c, c, 4), CausalBlock(c, c, 8))
    head = nn.Linear(c, 1)
    params = [*body.parameters(), *head.parameters()]
    opt = torch.optim.SGD(params, lr=cfg.lr, momentum=0.8, nesterov=True)
    sched = torch.optim.lr_scheduler.StepLR(opt, 5, 0.5)
    for epoch in range(cfg.epochs):
        total = 0.0
        for x, y in loader:
            pred = head(body(x)[..., -1]).squeeze(-1)
            loss = F.mse_loss(pred, y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        sched.step()
        print(f"epoch {epoch} mse {total / len(loader):.4f}")
    return total / len(loader)


print("final loss", run(Config()))
