"""A diagonal state-space layer (written by hand) that smooths noisy sine waves, plain SGD.

Cause: recurrent-gain
Fails: the loss starts at 8.8e6 and is not finite from step 1 on
First bad: step 1, forward, exp
"""

import torch
from torch import nn


class DiagonalSSM(nn.Module):
    def __init__(self, state: int = 32, dt: float = 0.1) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(torch.linspace(-1.5, 0.8, state))
        self.b = nn.Parameter(torch.randn(state) * 0.3)
        self.c = nn.Parameter(torch.randn(state) / state)
        self.d = nn.Parameter(torch.zeros(()))
        self.dt = dt

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        decay = torch.exp(self.dt * self.log_rate.exp())  # fix: decay = torch.exp(-self.dt * self.log_rate.exp())
        h = u.new_zeros(u.shape[0], self.b.numel())
        ys = []
        for t in range(u.shape[1]):
            h = decay * h + self.dt * self.b * u[:, t : t + 1]
            ys.append((h * self.c).sum(-1) + self.d * u[:, t])
        return torch.stack(ys, 1)


def waves(batch: int, length: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    phase = 6.28 * torch.rand(batch, 1, generator=generator)
    period = 20 + 30 * torch.rand(batch, 1, generator=generator)
    clean = torch.sin(phase + 6.28 * torch.arange(length) / period)
    return clean + 0.4 * torch.randn(batch, length, generator=generator), clean


def run() -> None:
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(5)
    layer = DiagonalSSM()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.05)
    history: list[float] = []
    for step in range(150):
        noisy, clean = waves(24, 72, g)
        loss = (layer(noisy) - clean).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print("final loss", sum(history[-10:]) / 10)


run()
