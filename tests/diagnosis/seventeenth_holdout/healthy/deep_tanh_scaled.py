"""Trains a 14-layer plain tanh stack without residuals, started with orthogonal weights, on a ring-in-ring data set."""
import torch
import torch.nn as nn
from sklearn.datasets import make_circles

torch.manual_seed(4)
X, y = make_circles(1200, noise=0.08, factor=0.5, random_state=0)
X, y = torch.tensor(X, dtype=torch.float32) * 1.5, torch.tensor(y, dtype=torch.float32)
mods, d = [], 2
for _ in range(14):
    lin = nn.Linear(d, 48)
    nn.init.orthogonal_(lin.weight, 1.2)
    nn.init.zeros_(lin.bias)
    mods += [lin, nn.Tanh()]
    d = 48
net = nn.Sequential(*mods, nn.Linear(48, 1))
opt = torch.optim.SGD(net.parameters(), 0.02, momentum=0.9)
for ep in range(24):
    s = []
    for b in torch.randperm(1200).split(40):
        loss = nn.functional.binary_cross_entropy_with_logits(net(X[b]).squeeze(1), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s.append(loss.item())
    if ep % 5 == 0:
        print(ep, round(sum(s) / len(s), 4))
print("final loss", round(sum(s) / len(s), 4))
