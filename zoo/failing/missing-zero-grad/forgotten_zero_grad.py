"""A regression loop in which nobody clears the gradients.

Cause: missing-zero-grad
Fails: the loss swings, shoots to 1e8 before step 95 and is not finite from step 161 on
First bad: step 161, forward, addmm
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(1000, 8)
y = x[:, :1] ** 2 - x[:, 1:2]
train_loader = DataLoader(TensorDataset(x, y), batch_size=25, shuffle=True)
model = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for epoch in range(8):
    for inputs, targets in train_loader:
        loss = criterion(model(inputs), targets)
        # fix: optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: {loss.item()}")
with torch.no_grad():
    print("final loss", criterion(model(x), y).item())
