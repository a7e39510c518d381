"""Columns in pascal, metres and kelvin, never normalised, behind a BatchNorm; heavy-tailed counts; warm restarts."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(73)
count = 3000
pressure = 101325 + 900 * torch.randn(count)
height = 500 * torch.rand(count)
kelvin = 288 + 10 * torch.randn(count)
rare = 1e-6 * torch.randn(count)
rate = torch.exp(0.8 * (pressure - 101325) / 900 + height / 250 + 0.5 * torch.sin(kelvin / 5))
visits = torch.poisson(rate * torch.distributions.Gamma(1.5, 1.5).sample((count,)))
table = torch.stack([pressure, height, kelvin, rare], 1)

model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
restarts = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=60, T_mult=2)
criterion = nn.PoissonNLLLoss(log_input=True)
loader = DataLoader(TensorDataset(table, visits), batch_size=64, shuffle=True, drop_last=True)

losses = []
for epoch in range(9):
    for x, y in loader:
        loss = criterion(model(x).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        restarts.step()
        losses.append(loss.item())
    print(epoch, losses[-1])
print("largest count", visits.max().item())
print("first losses", sum(losses[:10]) / 10)
print("final loss", sum(losses[-20:]) / 20)
