"""Parity of 3 hidden bits out of 24: nothing seems to happen for hundreds of steps, then it is learnt."""
import torch
from torch import nn


def batch(n):
    x = torch.randint(0, 2, (n, 24)).float() * 2 - 1
    return x, x[:, [3, 8, 15]].prod(1)


torch.manual_seed(66)
net = nn.Sequential(nn.Linear(24, 128), nn.ReLU(), nn.Linear(128, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.0)
hist = []
for step in range(2500):
    x, y = batch(64)
    loss = torch.relu(1 - y * net(x)[:, 0]).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 250 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-50:]) / 50)
