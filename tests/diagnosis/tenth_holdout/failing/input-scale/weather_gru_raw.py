"""GRU that predicts tomorrow's mean temperature anomaly from 14 days of station records.

Cause: input-scale
Fails: the mse stays at that of a constant guess (training about 8, test 6.0)
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

SEED = 2021
torch.manual_seed(SEED)
np.random.seed(SEED)

N = 3000
day = np.arange(N)
season = np.sin(2 * np.pi * (day - 110) / 365.25)
anom = np.zeros(N)
for i in range(1, N):
    anom[i] = 0.86 * anom[i - 1] + np.random.normal(0, 1.4)
temp_k = 282.5 + 9.5 * season + anom
press_pa = 101325 - 210 * anom + np.random.normal(0, 350, N)
humid = np.clip(72 - 2 * anom + np.random.normal(0, 6, N), 5, 100)
radiation_j = 1.2e7 + 8e6 * season + np.random.normal(0, 1e6, N)
features = np.column_stack([temp_k, press_pa, humid, radiation_j]).astype(np.float32)
target = anom.astype(np.float32)

LOOKBACK = 14
mean, std = features[:2400].mean(0), features[:2400].std(0)
table = features.copy()  # fix: table = (features - mean) / std
X = np.stack([table[i:i + LOOKBACK] for i in range(N - LOOKBACK)])
season_adj = np.stack([target[i + LOOKBACK] for i in range(N - LOOKBACK)])

train_ds = TensorDataset(torch.from_numpy(X[:2400]), torch.from_numpy(season_adj[:2400]))
test_x, test_y = torch.from_numpy(X[2400:]), torch.from_numpy(season_adj[2400:])


class Forecaster(nn.Module):
    def __init__(self, n_feat=4, hidden=32):
        super().__init__()
        self.gru = nn.GRU(n_feat, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.fc(out[:, -1]).squeeze(1)


model = Forecaster()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(10):
    model.train()
    running = 0.0
    for xb, yb in DataLoader(train_ds, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        running += loss.item() * len(xb)
    print(f"Epoch {epoch + 1}: train {running / len(train_ds):.3f}")
model.eval()
with torch.no_grad():
    final = criterion(model(test_x), test_y).item()
print("final loss", final)
