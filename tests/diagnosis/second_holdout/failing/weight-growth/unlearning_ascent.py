"""Makes a digits classifier forget one class by gradient ascent on it (machine unlearning).

Cause: weight-growth
Fails: minus cross-entropy has no floor; the logits and weights grow until everything is NaN, 37 steps into the forgetting
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
dig = load_digits()
x = torch.tensor(dig.data / 16.0, dtype=torch.float32)
y = torch.tensor(dig.target)
forget, keep = (y == 7).nonzero()[:, 0], (y != 7).nonzero()[:, 0]


def forget_term(logits, target):
    ce = F.cross_entropy(logits, target)
    return -ce  # fix: return F.relu(2.0 - ce)


net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(20):
    for i in torch.randperm(len(x)).split(128):
        loss = F.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
print("trained", loss.item())

opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for step in range(800):
    f = forget[torch.randint(len(forget), (32,))]
    k = keep[torch.randint(len(keep), (96,))]
    retain = F.cross_entropy(net(x[k]), y[k])
    loss = retain + forget_term(net(x[f]), y[f])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 80 == 0:
        print(step, "retain", retain.item(), "total", loss.item())
print("final loss", retain.item())
