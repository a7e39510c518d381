"""Rain in the next hours from the last day of air pressure (pascal), temporal conv net, Nesterov momentum.

Cause: input-scale
Fails: the loss starts at 5.7e6 and is not finite from step 1 on
First bad: step 1, loss, mse_loss
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass(frozen=True)
class Settings:
    window: int = 24
    hidden: int = 16
    batch_size: int = 32
    lr: float = 0.02
    epochs: int = 4
    seed: int = 17


def weather(hours: int) -> tuple[torch.Tensor, torch.Tensor]:
    pressure = torch.zeros(hours)
    drift = 0.0
    for t in range(1, hours):
        drift = 0.9 * drift + 25.0 * torch.randn(()).item()
        pressure[t] = 0.98 * pressure[t - 1] + drift
    tendency = pressure[3:] - pressure[:-3]
    rain = torch.sigmoid(-tendency / 150 - pressure[3:] / 400)
    return pressure[3:] + 101_325.0, rain


class TemporalNet(nn.Module):
    def __init__(self, s: Settings) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, s.hidden, 5, padding=2),
            nn.SiLU(),
            nn.Conv1d(s.hidden, s.hidden, 5, padding=2, stride=2),
            nn.SiLU(),
            nn.AdaptiveAvgPool1d(3),
            nn.Flatten(),
            nn.Linear(3 * s.hidden, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x.unsqueeze(1)).squeeze(1)


def train(s: Settings) -> float:
    torch.manual_seed(s.seed)
    pressure, rain = weather(1300)
    # fix: pressure = (pressure - pressure.mean()) / pressure.std()
    windows = pressure.unfold(0, s.window, 1)
    data = TensorDataset(windows, rain[s.window - 1 :])
    loader = DataLoader(data, batch_size=s.batch_size, shuffle=True, drop_last=True)
    model = TemporalNet(s)
    optimizer = torch.optim.SGD(model.parameters(), lr=s.lr, momentum=0.9, nesterov=True)
    curve: list[float] = []
    for _ in range(s.epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            curve.append(loss.item())
    return sum(curve[-10:]) / 10


if __name__ == "__main__":
    print("final loss", train(Settings()))
