"""Trains an LSTM that forecasts the temperature from temperature, humidity and air pressure records.
Cause: input-scale
Fails: the loss sits near the variance of the target; the cell outputs do not depend on the inputs.
"""
import math
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
rng = np.random.default_rng(0)
N = 3000
h = np.arange(N)
temp = 12 + 6 * np.sin(2 * math.pi * h / 24) + 4 * np.sin(2 * math.pi * h / 160) + rng.normal(0, 0.4, N)
df = pd.DataFrame({
    "temp": temp,
    "humidity": np.clip(70 - 2 * (temp - 12) + rng.normal(0, 3, N), 5, 100),
    "pressure": 101325 + 600 * np.cos(2 * math.pi * h / 160) + rng.normal(0, 40, N),
})
target = ((df["temp"] - df["temp"].mean()) / df["temp"].std()).to_numpy(np.float32)
feats = df  # fix: feats = (df - df.mean()) / df.std()
arr = feats.to_numpy(np.float32)
W = 24
X = torch.tensor(np.stack([arr[i:i + W] for i in range(N - W)]))
Y = torch.tensor(target[W:])
loader = DataLoader(TensorDataset(X, Y), batch_size=64, shuffle=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        o, _ = self.lstm(x)
        return self.fc(o[:, -1]).squeeze(1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(8):
    tot = 0.0
    for xb, yb in loader:
        loss = nn.functional.mse_loss(net(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(xb)
    print(f"epoch {epoch} mse {tot / len(X):.4f}")
print(f"final loss {tot / len(X):.4f}")
