"""Short-term load forecasting by an MLP over calendar features and lags, OneCycle schedule.

Cause: learning-rate
Fails: trains well until the one-cycle ramp passes the stability limit, then the loss runs off to nan
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(1)
rng = np.random.default_rng(1)


def build_frame(hours=4000):
    t = np.arange(hours)
    temp = 12 + 9 * np.sin(2 * np.pi * t / 8760) + 5 * np.sin(2 * np.pi * t / 24) + rng.normal(0, 1.5, hours)
    load = 40 + 8 * np.sin(2 * np.pi * (t - 6) / 24) + 0.02 * (temp - 15) ** 2 * 10 + rng.normal(0, 1.0, hours)
    cols = [
        np.sin(2 * np.pi * t / 24),
        np.cos(2 * np.pi * t / 24),
        np.sin(2 * np.pi * t / 168),
        np.cos(2 * np.pi * t / 168),
    ]
    cols += [np.roll(load, k) for k in (1, 2, 24, 25, 48)] + [temp, temp**2]
    X = np.stack(cols, 1)[48:]
    y = load[48:]
    return X, y


X, y = build_frame()
n_train = 3200
mu, sd = X[:n_train].mean(0), X[:n_train].std(0)
X = ((X - mu) / sd).astype("float32")
y = ((y - y[:n_train].mean()) / y[:n_train].std()).astype("float32")
train = TensorDataset(torch.from_numpy(X[:n_train]), torch.from_numpy(y[:n_train]))
valid = torch.from_numpy(X[n_train:]), torch.from_numpy(y[n_train:])
loader = DataLoader(train, batch_size=100, shuffle=True)

EPOCHS = 10
PEAK_LR = 1.0  # fix: PEAK_LR = 0.05
net = nn.Sequential(nn.Linear(11, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=PEAK_LR, total_steps=EPOCHS * len(loader))

hist = []
for epoch in range(EPOCHS):
    net.train()
    for xb, yb in loader:
        loss = nn.functional.mse_loss(net(xb).squeeze(1), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        hist.append(loss.item())
    net.eval()
    with torch.no_grad():
        rmse = nn.functional.mse_loss(net(valid[0]).squeeze(1), valid[1]).sqrt()
    print(f"epoch {epoch:2d}  lr {sched.get_last_lr()[0]:.3f}  valid rmse {rmse.item():.4f}")
print("final loss", sum(hist[-10:]) / 10)
