"""Credit scoring with raw columns (income in dollars, age in years) fed to a network.

Cause: input-scale
Fails: the loss rises from 9e6 to 1.5e23
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
n = 1500
income = torch.exp(torch.randn(n) * 0.5 + 10.5)
age = 18 + 60 * torch.rand(n)
debt = income * torch.rand(n) * 0.6
limit = 0.3 * income + 200 * age - 0.5 * debt
x = torch.stack([income, age, debt], 1)
# fix: x = (x - x.mean(0)) / x.std(0)
y = (limit / 10_000).unsqueeze(1)
loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
criterion = nn.MSELoss()
for _ in range(4):
    for inputs, targets in loader:
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
with torch.no_grad():
    print("final loss", criterion(model(x), y).item())
