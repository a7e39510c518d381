"""A regression on a line that any net learns, and what a watch has done to it."""

import torch
from torch import nn

import steadygrad as sg


def actions(watch):
    return [(each.step, each.action, each.detail) for each in sg.open_run(watch.run).main.actions()]


def repairs(watch):
    return [detail["remedy"] for _, action, detail in actions(watch) if action == "repair"]


def data(number, size=32, width=6):
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(size, width, generator=generator)
    return x, 2 * x[:, :1] - x[:, 1:2]


def net(width=6):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 24), nn.Tanh(), nn.Linear(24, 1))


def train(
    model,
    optimizer,
    steps,
    tmp_path,
    *,
    clear=True,
    scale=None,
    loss_fn=nn.functional.mse_loss,
    mode="repair",
    batch=data,
    schedule=None,
):
    losses = []
    with sg.watch(model, optimizer, mode=mode, record=tmp_path) as watch:
        for number in range(steps):
            x, y = batch(number)
            loss = loss_fn(model(x if scale is None else x * scale[0] + scale[1]), y)
            if clear:
                optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
            losses.append(loss.item())
    return losses, watch
