"""An MLP that scores synthetic card payments for fraud (a quarter of them).

Cause: dead-units
Fails: the loss only drifts to 0.562, the entropy of the base rate, and stays there
"""
import math
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(2024)


def payments(n=6000):
    x = torch.randn(n, 20)
    score = x[:, 0] * x[:, 1] + torch.relu(x[:, 2]) - x[:, 3] ** 2 * 0.5
    cut = score.quantile(0.75)
    return x, (score > cut).float()


def init_biases(model, rate):
    """Start every unit off, so that the model begins by calling nothing fraud."""
    prior = -math.log((1 - rate) / rate)
    for m in model.modules():
        if isinstance(m, nn.Linear) and m.out_features > 1:
            nn.init.constant_(m.bias, prior)  # fix: nn.init.zeros_(m.bias)


x, y = payments()
loader = DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True)
model = nn.Sequential(
    nn.Linear(20, 64), nn.ReLU(),
    nn.Linear(64, 64), nn.ReLU(),
    nn.Linear(64, 1),
)
init_biases(model, 1e-4)
opt = torch.optim.NAdam(model.parameters(), lr=2e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(22):
    tot = 0.0
    for i, (xb, yb) in enumerate(loader):
        loss = bce(model(xb).squeeze(1), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
        if epoch == 0 and i == 0:
            print("start loss", loss.item())
    if epoch % 3 == 0:
        print(f"epoch {epoch}: loss {tot / len(loader):.4f}")
print("final loss", tot / len(loader))
