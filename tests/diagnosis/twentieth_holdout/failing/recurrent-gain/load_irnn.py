"""Predicts the next hour's electricity load from four days of hourly readings with a ReLU recurrent net.

Cause: recurrent-gain
Fails: the loss is astronomically large from the first step and does not come down
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
rng = np.random.default_rng(3)

# two years of hourly load: daily and weekly cycles, temperature effect, AR noise
hours = np.arange(24 * 365 * 2)
noise = np.zeros(len(hours))
for i in range(1, len(hours)):
    noise[i] = 0.9 * noise[i - 1] + 0.08 * rng.standard_normal()
temp = np.sin(2 * np.pi * hours / (24 * 365)) + 0.3 * np.sin(2 * np.pi * hours / 24)
load = 1.0 + 0.5 * np.sin(2 * np.pi * (hours - 7) / 24) - 0.2 * (hours // 24 % 7 >= 5) - 0.3 * temp + noise
load = (load - load.mean()) / load.std()
temp = (temp - temp.mean()) / temp.std()
feats = np.stack([load, temp], 1).astype(np.float32)

WINDOW = 96
starts = rng.choice(len(hours) - WINDOW - 1, 6000, replace=False)
X = torch.tensor(np.stack([feats[s:s + WINDOW] for s in starts]))
Y = torch.tensor(np.array([load[s + WINDOW] for s in starts], dtype=np.float32))


class IRNN(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.inp = nn.Linear(n_in, n_hidden)
        self.rec = nn.Linear(n_hidden, n_hidden, bias=False)
        self.out = nn.Linear(n_hidden, 1)
        with torch.no_grad():
            self.inp.weight.normal_(0, 0.1)
            self.rec.weight.copy_(torch.eye(n_hidden) + 0.04 * torch.randn(n_hidden, n_hidden))  # fix: self.rec.weight.copy_(0.95 * torch.eye(n_hidden))

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.rec.in_features)
        drive = self.inp(x)
        for t in range(x.shape[1]):
            h = torch.relu(drive[:, t] + self.rec(h))
        return self.out(h).squeeze(-1)


model = IRNN(2, 64)
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
loader = DataLoader(TensorDataset(X[:5400], Y[:5400]), batch_size=64, shuffle=True)
step = 0
for epoch in range(3):
    for xb, yb in loader:
        loss = nn.functional.mse_loss(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(step, loss.item())
        step += 1

with torch.no_grad():
    val = nn.functional.mse_loss(model(X[5400:]), Y[5400:]).item()
print("final loss", val)
