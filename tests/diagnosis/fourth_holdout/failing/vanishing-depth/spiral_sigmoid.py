"""A deep narrow MLP on two interleaved spirals.

Cause: vanishing-depth
Fails: the loss stays at 0.695, chance
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(42)
rng = np.random.RandomState(42)

n = 600
theta = np.sqrt(rng.rand(n)) * 2.2 * np.pi
r = theta / (2.2 * np.pi)
a = np.stack([r * np.cos(theta), r * np.sin(theta)], 1)
X = np.concatenate([a, -a]) + rng.randn(2 * n, 2) * 0.01
Y = np.concatenate([np.zeros(n), np.ones(n)])
X = torch.tensor(X / X.std(0), dtype=torch.float32)
Y = torch.tensor(Y, dtype=torch.float32).unsqueeze(1)

act = nn.Sigmoid  # fix: act = nn.ReLU
layers = [nn.Linear(2, 40), act()]
for _ in range(8):
    layers += [nn.Linear(40, 40), act()]
layers.append(nn.Linear(40, 1))
model = nn.Sequential(*layers)
for m in model:
    if isinstance(m, nn.Linear):
        nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
        nn.init.zeros_(m.bias)
nn.init.normal_(model[-1].weight, std=0.05)

criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
for epoch in range(60):
    perm = torch.randperm(2 * n)
    epoch_loss = 0.0
    for b in perm.split(50):
        optimizer.zero_grad()
        loss = criterion(model(X[b]), Y[b])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(b) / (2 * n)
    if epoch % 6 == 0:
        print(f"Epoch {epoch:3d}  loss {epoch_loss:.4f}")
print("final loss", epoch_loss)
