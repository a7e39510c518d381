"""Poisson-like demand model fine-tuned with discriminative learning rates per layer group and linear warm-up.

Cause: learning-rate
Fails: the loss is not finite from backward call 84 on (counted from 0, of 900); the final value is nan
"""
import numpy as np
import torch
from torch import nn


def layer_groups(model, base_lr, factor):
    groups = []
    for depth, layer in enumerate(reversed([m for m in model if isinstance(m, nn.Linear)])):
        groups.append({"params": list(layer.parameters()), "lr": base_lr / factor ** depth})  # fix: groups.append({"params": list(layer.parameters()), "lr": base_lr * factor ** depth})
    return groups


def demand(n, rng):
    x = rng.normal(size=(n, 14)).astype("float32")
    y = np.sin(x[:, 0]) + 0.7 * x[:, 1] * (x[:, 2] > 0) + 0.5 * x[:, 3] + 0.1 * rng.normal(size=n)
    return torch.from_numpy(x), torch.from_numpy(y.astype("float32"))


def main():
    torch.manual_seed(80)
    rng = np.random.default_rng(81)
    model = nn.Sequential(nn.Linear(14, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
    opt = torch.optim.SGD(layer_groups(model, 0.1, 0.3), momentum=0.9)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 60))
    xv, yv = demand(800, rng)
    for step in range(900):
        x, y = demand(64, rng)
        loss = nn.functional.mse_loss(model(x).squeeze(1), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if step % 150 == 0:
            print(step, loss.item())
    with torch.no_grad():
        print("final loss", nn.functional.mse_loss(model(xv).squeeze(1), yv).item())


main()
