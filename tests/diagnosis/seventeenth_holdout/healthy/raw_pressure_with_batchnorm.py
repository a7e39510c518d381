"""Trains on raw pressures near 101325 Pa and tiny voltages, with a batch-norm layer right at the input."""
import torch
import torch.nn as nn

torch.manual_seed(1)
N = 3000
z = torch.randn(N, 3)
X = torch.stack([101325 + 600 * z[:, 0], 1e-5 * z[:, 1], 300 + 5 * z[:, 2]], 1)
y = torch.sin(z[:, 0]) + z[:, 1] * z[:, 2] * 0.5
net = nn.Sequential(nn.BatchNorm1d(3, eps=1e-14), nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), 3e-3)
for ep in range(25):
    s = []
    for b in torch.randperm(N).split(64):
        loss = (net(X[b]).squeeze(1) - y[b]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        s.append(loss.item())
    if ep % 5 == 0:
        print(ep, sum(s) / len(s))
print("final loss", sum(s) / len(s))
