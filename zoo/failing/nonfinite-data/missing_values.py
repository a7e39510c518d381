"""A table with a few empty cells that nobody filled in; BatchNorm keeps them for ever.

Cause: nonfinite-data
Fails: the loss is not finite from step 16 on
First bad: step 16, data
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
table = torch.randn(1200, 15)
target = (table[:, 0] - table[:, 3] > 0).long()
table[torch.tensor([77, 500, 901]), torch.tensor([2, 9, 4])] = float("nan")
# fix: table = table.nan_to_num(0.0)
model = nn.Sequential(nn.Linear(15, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
criterion = nn.CrossEntropyLoss()
last = []
for _ in range(6):
    model.train()
    for x, y in DataLoader(TensorDataset(table, target), batch_size=30, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        last = [*last[-4:], loss.item()]
model.eval()
with torch.no_grad():
    clean = ~table.isnan().any(1)
    print("final loss", criterion(model(table[clean]), target[clean]).item())
