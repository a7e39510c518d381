"""LBFGS without a line search on a non-convex fit: full steps of a bad quadratic model.

Cause: learning-rate
Fails: the loss is not finite from step 1 on
First bad: step 1, loss, mse_loss
"""

import torch
from torch import nn

torch.manual_seed(1)
x = torch.linspace(-3, 3, 100).unsqueeze(1)
y = torch.sin(3 * x) * x
net = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.LBFGS(net.parameters(), lr=1.5)  # fix: optimizer = torch.optim.LBFGS(net.parameters(), lr=1, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x), y)
    loss.backward()
    return loss


for _ in range(60):
    loss = optimizer.step(closure)
print("final loss", float(closure()))
