"""An autoencoder with reduction="sum" and the rate of the mean.

Cause: loss-scale
Fails: the loss is not finite from step 3 on
First bad: step 3, forward, addmm
"""

import torch
from torch import nn

torch.manual_seed(0)
codes = torch.randn(2000, 4)
data = torch.tanh(codes @ torch.randn(4, 40))
model = nn.Sequential(nn.Linear(40, 32), nn.ReLU(), nn.Linear(32, 4), nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 40))
criterion = nn.MSELoss(reduction="sum")  # fix: criterion = lambda a, b: (a - b).square().sum(1).mean()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
for _ in range(5):
    for rows in torch.randperm(2000).split(100):
        batch = data[rows]
        loss = criterion(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with torch.no_grad():
    print("final loss", criterion(model(data[:100]), data[:100]).item())
