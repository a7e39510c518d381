"""Full-batch gradient descent at a rate near the edge of stability: the loss is not monotone and still comes down."""

import torch
import torch.nn as nn

torch.manual_seed(72)
x = torch.linspace(-2, 2, 120).unsqueeze(1)
y = torch.sin(3 * x) * 0.8 + 0.2 * x
net = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.08)
losses = []
for step in range(500):
    loss = (net(x) - y).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("rises", sum(b > a for a, b in zip(losses, losses[1:])))
print("final loss", sum(losses[-10:]) / 10)
