"""Denoises signals while the noise rises and falls with the season, accumulation of two micro-batches."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def clean(n):
    t = torch.linspace(0, 1, 64)
    f = 1 + 4 * torch.rand(n, 1)
    p = 2 * math.pi * torch.rand(n, 1)
    return torch.sin(2 * math.pi * f * t + p).unsqueeze(1)


def level(step):
    return 0.05 + 1.2 * (0.5 - 0.5 * math.cos(2 * math.pi * step / 150)) ** 3


if __name__ == "__main__":
    torch.manual_seed(22)
    net = nn.Sequential(
        nn.Conv1d(1, 16, 7, padding=3), nn.LeakyReLU(0.1),
        nn.Conv1d(16, 16, 7, padding=3), nn.LeakyReLU(0.1),
        nn.Conv1d(16, 1, 7, padding=3))
    opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
    for step in range(900):
        opt.zero_grad()
        shown = 0.0
        for _ in range(2):
            y = clean(16)
            x = y + level(step) * torch.randn_like(y)
            loss = F.mse_loss(net(x), y) / 2
            loss.backward()
            shown += loss.item()
        opt.step()
        if step % 75 == 0:
            print(step, round(level(step), 2), shown)
    print("final loss", shown)
