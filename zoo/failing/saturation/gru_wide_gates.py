"""A GRU written by hand follows a hidden two-state switch; every gate matrix comes from one drawing function.

Cause: saturation
Fails: stays at 0.68
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Gates(NamedTuple):
    update: Tensor
    reset: Tensor
    candidate: Tensor


def draw(rows: int, columns: int, spread: float) -> Tensor:
    return (spread * torch.randn(rows, columns)).requires_grad_()


def switch_batch(batch: int = 32, length: int = 15) -> tuple[Tensor, Tensor]:
    """A set pulse, a reset pulse, or nothing; the answer is the state at the end."""
    event = torch.randint(0, 4, (batch, length))
    state = torch.zeros(batch)
    for t in range(length):
        state = torch.where(event[:, t] == 0, 1.0, torch.where(event[:, t] == 1, 0.0, state))
    return torch.nn.functional.one_hot(event, 4).float(), state


def run(x: Tensor, gates: Gates, readout: Tensor) -> Tensor:
    h = x.new_zeros(len(x), readout.shape[0])
    one = x.new_ones(len(x), 1)
    for t in range(x.shape[1]):
        joint = torch.cat([x[:, t], h, one], 1)
        z = torch.sigmoid(joint @ gates.update)
        r = torch.sigmoid(joint @ gates.reset)
        c = torch.tanh(torch.cat([x[:, t], r * h, one], 1) @ gates.candidate)
        h = (1 - z) * h + z * c
    return (h @ readout).squeeze(1)


def main() -> None:
    torch.manual_seed(15)
    width = 20
    spread = 40.0  # fix: spread = 0.2
    gates = Gates(*(draw(4 + width + 1, width, spread) for _ in range(3)))
    readout = draw(width, 1, 0.01)
    optimizer = torch.optim.Adam([*gates, readout], lr=1e-2)
    losses = []
    for step in range(250):
        x, state = switch_batch()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(run(x, gates, readout), state)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"{step:4d} {loss.item():.4f}")
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
