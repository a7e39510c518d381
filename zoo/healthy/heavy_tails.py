"""Regression on returns with Student-t noise (1.8 degrees of freedom), batches of 4: gradients with heavy tails."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(12)
features = torch.randn(4000, 10)
signal = features[:, :1] * 0.5 - features[:, 1:2].abs()
noise = torch.distributions.StudentT(1.8).sample((4000, 1)) * 0.3
loader = DataLoader(TensorDataset(features, signal + noise), batch_size=4, shuffle=True)

model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.L1Loss()
for _ in range(2):
    for x, y in loader:
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    print("final loss", loss_fn(model(features), signal).item())
