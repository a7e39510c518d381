"""Credit table with raw columns from 1e-3 to 1e6 which enter through a BatchNorm without being scaled before."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(35)
n = 2400
income = torch.exp(torch.randn(n) * 0.5 + 11)
age = torch.randint(18, 80, (n,)).float()
ratio = torch.rand(n) * 1e-3
zipcode = torch.randint(10000, 99999, (n,)).float()
score = (income.log() - 11) * 2 + (age - 49) / 18 - ratio * 1500 + 0.75
y = (score + 0.5 * torch.randn(n) > 0).float()
X = torch.stack([income, age, ratio, zipcode], 1)


class TabNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.bn = nn.BatchNorm1d(4, eps=1e-12)
        self.net = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.BatchNorm1d(48), nn.Linear(48, 1))

    def forward(self, x):
        return self.net(self.bn(x)).squeeze(1)


model = TabNet()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
losses = []
for epoch in range(8):
    model.train()
    for xb, yb in DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True):
        loss = nn.functional.binary_cross_entropy_with_logits(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        print(epoch, ((model(X) > 0).float() == y).float().mean().item())
print("final loss", sum(losses[-10:]) / 10)
