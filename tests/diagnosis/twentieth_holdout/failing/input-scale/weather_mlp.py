"""Predicts tomorrow's rain amount from station readings (pressure in pascal, temperature in kelvin, humidity, wind).

Cause: input-scale
Fails: the loss is NaN after the first few steps
"""
import numpy as np
import pandas as pd
import torch
import torch.nn as nn

torch.manual_seed(2)
rng = np.random.default_rng(2)
n = 6000
front = rng.standard_normal(n)
df = pd.DataFrame({
    "pressure": 101325 - 900 * front + 300 * rng.standard_normal(n),
    "temp": 285 + 8 * rng.standard_normal(n) - front,
    "humidity": np.clip(65 + 15 * front + 10 * rng.standard_normal(n), 5, 100),
    "wind": np.abs(4 + 2 * front + 2 * rng.standard_normal(n)),
    "cloud": np.clip(4 + 2 * front + rng.standard_normal(n), 0, 8),
})
df["rain"] = np.log1p(np.maximum(0, 2 * front + 0.03 * (df.humidity - 65) - 0.05 * (df.temp - 285) + 0.5 * rng.standard_normal(n)))

features = df.drop(columns="rain")
features = features.astype(np.float32)  # fix: features = ((features - features.mean()) / features.std()).astype(np.float32)
X = torch.tensor(features.to_numpy())
y = torch.tensor(df.rain.to_numpy(np.float32))

model = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
best = float("inf")
for epoch in range(8):
    for idx in torch.randperm(5000).split(64):
        loss = nn.functional.mse_loss(model(X[idx]).squeeze(1), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        val = nn.functional.mse_loss(model(X[5000:]).squeeze(1), y[5000:]).item()
    best = min(best, val)
    print(f"epoch {epoch} val {val:.4f} best {best:.4f}")
print("final loss", val)
