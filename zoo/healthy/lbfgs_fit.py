"""A physics fit with LBFGS and its closure: a damped oscillation through a tiny network."""

import torch
from torch import nn

torch.manual_seed(0)
t = torch.linspace(0, 6, 120).unsqueeze(1)
signal = torch.exp(-0.3 * t) * torch.cos(2 * t)
net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
optimizer = torch.optim.LBFGS(net.parameters(), lr=1, max_iter=10, line_search_fn="strong_wolfe")


def closure():
    optimizer.zero_grad()
    loss = (net(t) - signal).square().mean()
    loss.backward()
    return loss


for i in range(40):
    loss = optimizer.step(closure)
    if i % 10 == 0:
        print(i, float(loss))
print("final loss", closure().item())
