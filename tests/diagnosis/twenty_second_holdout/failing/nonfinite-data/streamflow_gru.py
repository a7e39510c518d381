"""Rainfall-runoff model: a GRU predicts log discharge of a small semi-arid catchment from rain and PET.

Cause: nonfinite-data
"""
import numpy as np
import torch
import torch.nn as nn

torch.set_num_threads(1)
np.random.seed(11)
torch.manual_seed(11)

# ---------------------------------------------------------------- synthetic catchment
N_DAYS = 9000
day = np.arange(N_DAYS)
season = 0.5 + 0.5 * np.sin(2 * np.pi * day / 365.0)
wet = np.random.rand(N_DAYS) < 0.15 + 0.3 * season
P = np.where(wet, np.random.gamma(0.7, 9.0, N_DAYS), 0.0)      # mm/d
PET = 2.0 + 3.0 * (1 - season) + 0.3 * np.random.randn(N_DAYS)
P[6200:6450] = 0.0                                              # the 18th year, drought

S, Q = 60.0, np.zeros(N_DAYS)
for t in range(N_DAYS):
    S += P[t]
    fast = 0.25 * max(S - 90.0, 0.0)
    slow = 0.03 * max(S - 3.0, 0.0)
    Q[t] = fast + slow
    S -= fast + slow + min(0.25 * PET[t], max(S, 0.0) * 0.02)

target = np.log(Q)  # fix: target = np.log(Q + 0.02)
target = torch.tensor(target, dtype=torch.float32)
forcing = np.stack([np.sqrt(P) / 2.0, (PET - 3.5) / 1.5], 1)
forcing = torch.tensor(forcing, dtype=torch.float32)


class Catchment(nn.Module):
    def __init__(self, n=24):
        super().__init__()
        self.gru = nn.GRU(2, n, batch_first=True)
        self.out = nn.Linear(n, 1)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.out(h).squeeze(-1)


model = Catchment()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
WARM, LEN, B = 30, 60, 12
losses = []
step = 0
for epoch in range(1):
    # chronological sweep: the batch is a comb of 12 windows, close to one another
    for start in range(0, N_DAYS - WARM - LEN - 12 * 15, 25):
        idx = [start + 15 * b for b in range(B)]
        x = torch.stack([forcing[i:i + WARM + LEN] for i in idx])
        y = torch.stack([target[i + WARM:i + WARM + LEN] for i in idx])
        pred = model(x)[:, WARM:]
        loss = ((pred - y) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        opt.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"ep {epoch} day {start:5d} mse(log q) {loss.item():.4f}")
        step += 1
print("final loss", float(np.mean(losses[-20:])))
