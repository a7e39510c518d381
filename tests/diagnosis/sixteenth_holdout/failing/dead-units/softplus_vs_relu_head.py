"""Demand forecaster from weekday and weather.

Cause: dead-units
Fails: the biases are initialised deep in the negative, so no ReLU opens; only the
output bias gets a gradient and the loss creeps towards the variance of the target.
"""
import torch
import torch.nn as nn

torch.manual_seed(49)


class Demand(nn.Module):
    def __init__(self, d=14, h=64, sparse_bias=-6.0):
        super().__init__()
        self.fc = nn.ModuleList([nn.Linear(d, h), nn.Linear(h, h), nn.Linear(h, h)])
        self.out = nn.Linear(h, 1)
        for f in self.fc:
            nn.init.kaiming_uniform_(f.weight, nonlinearity="relu")
            nn.init.constant_(f.bias, sparse_bias)  # fix: nn.init.constant_(f.bias, 0.01)

    def forward(self, x):
        for f in self.fc:
            x = torch.relu(f(x))
        return self.out(x).squeeze(-1)


week = torch.arange(5000) % 7
x = torch.cat([nn.functional.one_hot(week, 7).float(), torch.randn(5000, 7)], 1)
base = torch.tensor([3.0, 2.5, 2.4, 2.6, 4.0, 6.0, 5.0])
y = base[week] * torch.exp(0.3 * x[:, 7] - 0.2 * x[:, 8]) + torch.relu(x[:, 9])
model = Demand()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
for ep in range(24):
    run = 0.0
    for idx in torch.randperm(5000).split(50):
        loss = (model(x[idx]) - y[idx]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        run += loss.item() / 100
    print(f"epoch {ep} mse {run:.4f}")
print(f"final loss {run:.5f}")
