"""Mixed precision by hand: a float16 conv net, float32 master weights, and a loss scale that is doubled now and then.

Cause: half-overflow
Fails: the loss is not finite from step 137 on
First bad: step 136, backward, convolution
"""

import torch
from torch import nn


class MixedTrainer:
    """Keeps a float16 network next to its float32 weights."""

    def __init__(self, network: nn.Module, lr: float, scale: float = 2.0**8, every: int = 15) -> None:
        self.master = [p.detach().clone().requires_grad_() for p in network.parameters()]
        self.network = network.half()
        self.optimizer = torch.optim.Adam(self.master, lr=lr)
        self.scale, self.every, self.count = scale, every, 0

    def step(self, x: torch.Tensor, y: torch.Tensor) -> float:
        loss = nn.functional.cross_entropy(self.network(x.half()).float(), y)
        self.network.zero_grad()
        (loss * self.scale).backward()
        for small, big in zip(self.network.parameters(), self.master):
            big.grad = small.grad.float() / self.scale
        self.optimizer.step()
        with torch.no_grad():
            for small, big in zip(self.network.parameters(), self.master):
                small.copy_(big)
        self.count += 1
        if self.count % self.every == 0:
            self.scale = self.scale * 2  # fix: self.scale = min(self.scale * 2, 2.0**12)
        return loss.item()


def crosses(n: int, size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.randint(0, 3, (n,))
    x = 0.7 * torch.randn(n, 1, size, size)
    for i, label in enumerate(y.tolist()):
        r, c = torch.randint(3, size - 3, (2,)).tolist()
        if label != 1:
            x[i, 0, r, c - 3 : c + 4] += 1.5
        if label != 0:
            x[i, 0, r - 3 : r + 4, c] += 1.5
    return x, y


if __name__ == "__main__":
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3)
    )
    trainer = MixedTrainer(net, lr=2e-3)
    losses = [trainer.step(*crosses(16)) for _ in range(260)]
    print("final loss", sum(losses[-10:]) / 10)
