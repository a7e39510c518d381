"""House prices in thousands with Adam: huge first loss and gradients, harmless."""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(0)
sqm, rooms, age = rng.uniform(30, 200, 3000), rng.integers(1, 7, 3000), rng.uniform(0, 90, 3000)
price = 2.2 * sqm + 15 * rooms - 0.8 * age + 40 + rng.normal(0, 15, 3000)
X = torch.tensor(np.column_stack([(sqm - 115) / 49, (rooms - 3.5) / 1.7, (age - 45) / 26]), dtype=torch.float32)
y = torch.tensor(price, dtype=torch.float32)

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(model.parameters(), lr=0.05)
for epoch in range(25):
    tot = 0.0
    for i in torch.randperm(len(X)).split(64):
        loss = nn.functional.mse_loss(model(X[i])[:, 0], y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(i) / len(X)
    if epoch % 4 == 0:
        print("epoch", epoch, "mse", tot)
print("final loss", tot)
