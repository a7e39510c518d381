"""Trains a deep tanh classifier on two interleaved spirals with momentum SGD.
Cause: vanishing-depth, init-gain
Fails: the loss stays at ln(2) = 0.693 for the whole run.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(2)
n = 1000
r = torch.rand(n) * 0.9 + 0.1
lab = torch.randint(0, 2, (n,))
ang = r * 1.2 * math.pi * 2 + lab * math.pi
X = torch.stack([r * torch.cos(ang), r * torch.sin(ang)], 1) * 2 + 0.03 * torch.randn(n, 2)

layers, d = [], 2
for _ in range(8):
    layers += [nn.Linear(d, 64), nn.Tanh()]
    d = 64
net = nn.Sequential(*layers, nn.Linear(64, 1))
for mod in net:
    if isinstance(mod, nn.Linear):
        nn.init.normal_(mod.weight, std=0.02)  # fix: nn.init.xavier_normal_(mod.weight, gain=1.5)
        nn.init.zeros_(mod.bias)

opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
crit = nn.BCEWithLogitsLoss()
last = []
for epoch in range(80):
    perm = torch.randperm(n)
    tot = 0.0
    for k in range(0, n, 50):
        b = perm[k:k + 50]
        loss = crit(net(X[b]).squeeze(1), lab[b].float())
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    last.append(tot / (n // 50))
    if epoch % 15 == 0:
        print("epoch", epoch, "loss", round(last[-1], 4))
print("final loss", round(sum(last[-5:]) / 5, 4))
