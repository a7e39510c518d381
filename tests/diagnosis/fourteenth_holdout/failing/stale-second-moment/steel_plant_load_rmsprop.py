"""The electricity demand of a steel plant from a day of readings, by a residual net trained with RMSprop and momentum.

Cause: stale-second-moment
Fails: the loss jumps to 3e9 within the first steps and ends at 1e4
"""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.path = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        nn.init.zeros_(self.path[-1].weight)

    def forward(self, x):
        return x + self.path(x)


def demand(hours):
    t = torch.arange(float(hours))
    furnace = (torch.sin(2 * math.pi * t / 7) > 0.5).float()
    return torch.sin(2 * math.pi * t / 24) + 1.5 * furnace + 0.1 * torch.randn(hours)


torch.manual_seed(116)
series = demand(1800)
windows = ((series - series.mean()) / series.std()).unfold(0, 25, 1)
loader = DataLoader(TensorDataset(windows), batch_size=64, shuffle=True, drop_last=True)
model = nn.Sequential(nn.Linear(24, 48), *[Residual(48) for _ in range(5)], nn.Linear(48, 1))
optimizer = torch.optim.RMSprop(
    model.parameters(),
    lr=3e-4,
    alpha=0.9999,  # fix: alpha=0.95,
    momentum=0.9,
)
losses = []
for epoch in range(15):
    for (window,) in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(window[:, :24]).squeeze(1), window[:, 24])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(epoch, f"{losses[0]:.4g} {sum(losses[-27:]) / 27:.4g}")
print("final loss", sum(losses[-27:]) / 27)
