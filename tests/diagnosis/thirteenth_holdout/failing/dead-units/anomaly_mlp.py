"""Supervised anomaly scoring of server metrics with a ReLU MLP.

Cause: dead-units
Fails: final accuracy 0.5895 (with the fix 0.9785)
"""
import torch
import torch.nn as nn


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")
        if m.out_features > 1:
            nn.init.constant_(m.bias, -20.0)  # fix: nn.init.constant_(m.bias, 0.0)


def metrics(n):
    x = torch.randn(n, 10)
    y = ((x[:, 0] * x[:, 1] + x[:, 2]) > 0.3).float()
    return x, y


torch.manual_seed(64)
net = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
net.apply(init_weights)
ema = {k: v.clone() for k, v in net.state_dict().items()}
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
lossf = nn.BCEWithLogitsLoss()

for i in range(800):
    x, y = metrics(64)
    loss = lossf(net(x).squeeze(1), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    for k, v in net.state_dict().items():
        ema[k].mul_(0.98).add_(v, alpha=0.02)
    if i % 100 == 0:
        print(i, loss.item())

net.load_state_dict(ema)
with torch.no_grad():
    x, y = metrics(4000)
    print("final accuracy", ((net(x).squeeze(1) > 0).float() == y).float().mean().item())
