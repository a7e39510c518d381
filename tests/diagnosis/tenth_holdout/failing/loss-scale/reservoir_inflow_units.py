"""GRU for hourly reservoir inflow in cubic metres per hour (hydrologist, operational script).

Cause: loss-scale
Fails: the error rises up to 270 times its start and ends at 56 times the variance of the target
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(27)
rng = np.random.default_rng(27)
n = 3500
rain = rng.gamma(0.3, 5.0, n) * (rng.random(n) < 0.25)
q = np.zeros(n)
store = 0.0
for t in range(n):
    store = 0.93 * store + rain[t]
    q[t] = 3600 * (2.0 + 0.6 * store)
Q_REF = 1.0  # fix: Q_REF = q.std()

x = torch.tensor(np.stack([np.log1p(rain), np.sin(2 * np.pi * np.arange(n) / 8760)], 1), dtype=torch.float32)
y = torch.tensor((q - q.mean()) / Q_REF, dtype=torch.float32)


class Inflow(nn.Module):
    def __init__(self, h=48):
        super().__init__()
        self.gru = nn.GRU(2, h, batch_first=True)
        self.lin = nn.Linear(h, 1)

    def forward(self, z):
        return self.lin(self.gru(z)[0][:, -1]).squeeze(-1)


net = Inflow()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
W = 48


def windows(idx):
    return torch.stack([x[i:i + W] for i in idx]), y[np.asarray(idx) + W - 1]


for step in range(400):
    xb, yb = windows(rng.integers(0, 2700, 32))
    loss = nn.functional.mse_loss(net(xb), yb)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print("step", step, "mse (m3/h)^2", loss.item() * Q_REF ** 2)

with torch.no_grad():
    xb, yb = windows(list(range(2760, n - W, 3)))
    unexplained = ((net(xb) - yb).pow(2).mean() / yb.var()).item()
print("final loss", unexplained)
