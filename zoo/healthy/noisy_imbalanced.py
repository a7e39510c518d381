"""Fraud detection: 2 % positives, 10 % wrong labels, weighted loss, dropout, batches of one."""

import torch
from torch import nn

torch.manual_seed(31)
n = 3000
fraud = torch.rand(n) < 0.02
x = torch.randn(n, 12) + 1.5 * fraud.unsqueeze(1) * torch.randn(12)
labels = torch.where(torch.rand(n) < 0.1, torch.rand(n) < 0.02, fraud).float()

model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 1))
criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(20.0))
optimizer = torch.optim.SGD(model.parameters(), lr=5e-4, momentum=0.9)
for i in torch.randperm(n).tolist():
    optimizer.zero_grad()
    loss = criterion(model(x[i : i + 1]).squeeze(1), labels[i : i + 1])
    loss.backward()
    optimizer.step()
model.eval()
with torch.no_grad():
    print("final loss", criterion(model(x).squeeze(1), labels).item())
