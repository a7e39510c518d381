"""Concrete-strength-like table regression; layers are centred on the table before training starts.

Cause: dead-units
Fails: stays at 0.43, the level of the mean
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def centre_layers(net: nn.Sequential, batch: Tensor) -> None:
    """Data-dependent start: the biases are placed by what the layers see."""
    x = batch
    for layer in net[:-1]:
        if isinstance(layer, nn.Linear):
            z = x @ layer.weight.t()
            layer.bias.copy_(-z.amax(0))  # fix: layer.bias.copy_(-z.mean(0))
        x = layer(x)


def make_table(count: int) -> tuple[Tensor, Tensor]:
    cement, water, age = torch.rand(3, count, 1)
    noise = 0.05 * torch.randn(count, 1)
    strength = 2 * cement - 1.5 * (water - 0.5).abs() + torch.log1p(5 * age) + noise
    table = torch.cat([cement, water, age, torch.rand(count, 3)], 1)
    return table, (strength - strength.mean()) / strength.std()


def main() -> None:
    torch.manual_seed(82)
    table, strength = make_table(2000)
    net = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    centre_layers(net, table)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, amsgrad=True)
    losses: list[float] = []
    for step in range(400):
        rows = torch.randint(0, 2000, (64,))
        loss = nn.functional.smooth_l1_loss(net(table[rows]), strength[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 100 == 0:
            print(f"step {step} loss {loss.item():.4f}")
    print("final loss", sum(losses[-10:]) / 10)


main()
