"""A conv net forecasts solar power from the last two days, SGD with an exponential schedule per epoch.

Cause: learning-rate
Fails: good until about step 340, then the loss rises to 1e6; NaN from step 346 on
"""

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR


def solar(hours, g):
    t = torch.arange(float(hours))
    sun = torch.relu(torch.sin(2 * math.pi * (t % 24) / 24 - 1.2))
    cloud = torch.zeros(hours)
    for h in range(1, hours):
        cloud[h] = 0.95 * cloud[h - 1] + 0.3 * torch.randn((), generator=g)
    return sun * torch.sigmoid(1.5 - cloud)


def trainer(model, optimizer, scheduler, batches):
    """A generator of epochs: yields the losses of each."""
    while True:
        losses = []
        for x, y in batches():
            optimizer.zero_grad()
            loss = (model(x) - y).pow(2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        yield losses


def main():
    torch.manual_seed(40)
    g = torch.Generator().manual_seed(40)
    power = solar(2000, g)
    power = (power - power.mean()) / power.std()
    windows = power.unfold(0, 54, 1)

    def batches():
        for rows in torch.randperm(len(windows), generator=g)[:640].split(32):
            yield windows[rows, None, :48], windows[rows, 48:]

    model = nn.Sequential(
        nn.Conv1d(1, 16, 5, stride=2), nn.LeakyReLU(),
        nn.Conv1d(16, 16, 5, stride=2), nn.LeakyReLU(),
        nn.Flatten(), nn.Linear(144, 32), nn.LeakyReLU(), nn.Linear(32, 6),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    scheduler = ExponentialLR(optimizer, gamma=1.25)  # fix: scheduler = ExponentialLR(optimizer, gamma=0.92)
    everything = []
    for epoch, losses in zip(range(24), trainer(model, optimizer, scheduler, batches)):
        everything += losses
        print(f"epoch {epoch}: {sum(losses) / len(losses):.5g}, rate {scheduler.get_last_lr()[0]:.4g}")
    print("final loss", sum(everything[-20:]) / 20)


main()
