"""House prices in dollars, never normalised: the loss starts near 1e11, and Adam with a high rate trains it anyway."""

import torch
from torch import nn

torch.manual_seed(6)
rooms = torch.randint(1, 8, (1000, 1)).float()
area = rooms * 18 + 20 * torch.rand(1000, 1)
price = 50_000 + 2_500 * area + 10_000 * torch.randn(1000, 1)
inputs = torch.cat([rooms / 8, area / 150], 1)

model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
criterion = nn.MSELoss()
for epoch in range(40):
    for rows in torch.randperm(1000).split(50):
        loss = criterion(model(inputs[rows]), price[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} rmse {loss.item() ** 0.5:.0f}")
with torch.no_grad():
    print("final loss", criterion(model(inputs), price).item())
