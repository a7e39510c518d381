"""House prices from a Kaggle-like table (area, year built, lot size, distance), small MLP with DataLoader.

Cause: input-scale
Fails: raw columns in the thousands make the first updates overshoot, the loss goes to nan
"""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

SEED = 2024
np.random.seed(SEED)
torch.manual_seed(SEED)


def make_table(n=2400):
    area = np.random.gamma(6.0, 280.0, n)
    lot = np.random.gamma(3.0, 3200.0, n)
    year = np.random.randint(1905, 2021, n).astype(float)
    rooms = np.clip(np.round(area / 350 + np.random.randn(n)), 1, 12)
    dist = np.random.exponential(9.0, n)
    price = 11.2 + 0.0004 * area + 0.00001 * lot + 0.004 * (year - 1960) - 0.015 * dist + 0.05 * rooms
    price = price + np.random.normal(0, 0.12, n)
    X = np.stack([area, lot, year, rooms, dist], axis=1).astype(np.float32)
    return X, price.astype(np.float32)


class HouseDataset(Dataset):
    def __init__(self, X, y):
        self.X = torch.from_numpy(X)
        self.y = torch.from_numpy(y).unsqueeze(1)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, idx):
        return {"features": self.X[idx], "target": self.y[idx]}


X, y = make_table()
y = (y - y.mean()) / y.std()
# fix: X = (X - X.mean(0)) / X.std(0)
split = int(0.8 * len(X))
train_dl = DataLoader(HouseDataset(X[:split], y[:split]), batch_size=48, shuffle=True)
valid_dl = DataLoader(HouseDataset(X[split:], y[split:]), batch_size=96)

model = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Dropout(0.05), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.7)
criterion = nn.MSELoss()

train_losses = []
for epoch in range(8):
    model.train()
    for b in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(b["features"]), b["target"])
        loss.backward()
        optimizer.step()
        train_losses.append(loss.item())
    scheduler.step()
    model.eval()
    with torch.no_grad():
        val = np.mean([criterion(model(b["features"]), b["target"]).item() for b in valid_dl])
    print(f"Epoch {epoch + 1}: train {np.mean(train_losses[-40:]):.4f} valid {val:.4f}")
print("final loss", float(np.mean(train_losses[-10:])))
