"""Rents of flats: area (m2), year, distance to centre (m), lot value (EUR), floor.

Cause: input-scale
Fails: columns of size 2000 and 300000 go straight into the net; SGD explodes to nan.
"""
import torch
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(15)
n = 5000
area = 25 + 90 * torch.rand(n)
year = torch.randint(1900, 2024, (n,)).float()
dist = 300 + 9000 * torch.rand(n)
lot = 5e4 + 3e5 * torch.rand(n)
floor = torch.randint(0, 9, (n,)).float()
rent = 8 * area + 2 * (year - 1950) - 0.05 * dist + lot / 1e3 + 10 * floor + 0.001 * area * (year - 1960) * 10
rent = (rent - rent.mean()) / rent.std()
table = torch.stack([area, year, dist, lot, floor], 1)


class Prep:
    def fit(self, x):
        self.mu, self.sd = x.mean(0), x.std(0)
        return self

    def __call__(self, x):
        return x - self.mu  # fix: return (x - self.mu) / self.sd


prep = Prep().fit(table)
loader = DataLoader(TensorDataset(prep(table), rent), batch_size=50, shuffle=True)
net = nn.Sequential(nn.Linear(5, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for epoch in range(34):
    seen = 0.0
    for x, y in loader:
        loss = nn.functional.mse_loss(net(x).squeeze(1), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen += loss.item() / len(loader)
    print(f"epoch {epoch}: mse {seen:.5f}")
print(f"final loss {seen:.6f}")
