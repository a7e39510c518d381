"""Two-layer LSTM on tide heights with cosine warm restarts."""
import math

import torch
import torch.nn as nn


class Tides(torch.utils.data.IterableDataset):
    def __init__(self, steps, batch, seed):
        self.steps, self.batch = steps, batch
        self.g = torch.Generator().manual_seed(seed)
        t = torch.arange(6000.0)
        h = torch.cos(2 * math.pi * t / 12.42) + 0.45 * torch.cos(2 * math.pi * t / 12.0 + 1) + 0.2 * torch.cos(2 * math.pi * t / 25.8)
        surge = torch.randn(6000, generator=self.g).cumsum(0)
        surge = surge - torch.nn.functional.avg_pool1d(surge[None, None], 201, 1, 100, count_include_pad=False)[0, 0]
        self.h = h + 0.02 * surge

    def __iter__(self):
        for _ in range(self.steps):
            a = torch.randint(0, len(self.h) - 31, (self.batch, 1), generator=self.g)
            w = self.h[a + torch.arange(31)]
            yield w[:, :30, None], w[:, 30]


class TideNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, num_layers=2, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])[:, 0]


def run():
    torch.manual_seed(56)
    net = TideNet()
    opt = torch.optim.RMSprop(net.parameters(), lr=8e-3, alpha=0.95)
    sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=60, T_mult=2, eta_min=1e-5)
    log = []
    for i, (x, y) in enumerate(Tides(420, 32, 57)):
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        log.append(loss.item())
        if i % 30 == 0:
            print(f"{i:4d} lr {sched.get_last_lr()[0]:.5f} mse {log[-1]:.5f}")
    print("final loss", sum(log[-20:]) / 20)


run()
