"""Online learning with batches of two samples: single losses differ by three orders, the average goes down."""

import torch
import torch.nn as nn

torch.manual_seed(8)
w = torch.randn(10) / 3
net = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01)
losses = []
for step in range(500):
    x = torch.randn(2, 10)
    y = (x @ w + 0.5 * (x[:, 0] > 0).float() + 0.1 * torch.randn(2)).unsqueeze(1)
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("mean of the first and last hundred", sum(losses[:100]) / 100, sum(losses[-100:]) / 100)
print("final loss", sum(losses[-10:]) / 10)
