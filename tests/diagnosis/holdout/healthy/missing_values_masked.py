"""A sensor table with NaN cells which the model itself turns into zeros plus indicator columns before the first layer."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(54)
X = torch.randn(1500, 8)
y = (X[:, 0] - X[:, 1] * X[:, 2]).unsqueeze(1)
X[torch.rand_like(X) < 0.05] = float("nan")


class MaskedMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, x):
        gone = torch.isnan(x)
        filled = torch.where(gone, torch.zeros_like(x), x)
        return self.net(torch.cat([filled, gone.float()], 1))


model = MaskedMLP()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for epoch in range(10):
    for xb, yb in DataLoader(TensorDataset(X, y), batch_size=50, shuffle=True):
        loss = nn.functional.smooth_l1_loss(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
