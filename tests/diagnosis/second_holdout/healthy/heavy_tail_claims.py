"""Insurance claims: log-normal targets with a heavy tail under a Huber loss, batch losses jump a lot."""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(1)
n = 8000
age, power, region = rng.uniform(18, 80, n), rng.gamma(4, 25, n), rng.integers(0, 5, n)
mean = 0.4 + 0.02 * np.abs(age - 45) / 5 + 0.004 * power + 0.3 * region
claim = mean * np.exp(rng.normal(0, 0.9, n)) * (1 + 20 * (rng.random(n) < 0.003))
X = np.column_stack([(age - 49) / 18, (power - 100) / 50, np.eye(5)[region]]).astype("float32")
X, y = torch.from_numpy(X), torch.from_numpy(claim.astype("float32"))

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(7, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(15):
    tot, worst = 0.0, 0.0
    for i in torch.randperm(n).split(64):
        loss = nn.functional.huber_loss(net(X[i]).squeeze(1), y[i], delta=2.0)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(i) / n
        worst = max(worst, loss.item())
    print(f"{epoch}: mean {tot:.4f} worst batch {worst:.3f}")
print("final loss", tot)
