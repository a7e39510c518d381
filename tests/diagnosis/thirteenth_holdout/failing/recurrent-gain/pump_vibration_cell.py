"""Own recurrent cell on pump vibration windows: regress the bearing wear index.

Cause: recurrent-gain
Fails: final loss 1.667e+21 (with the fix 0.02145)
"""
import math
import torch
from torch import nn

torch.manual_seed(21)


class StateCell(nn.Module):
    """h_t = W h_{t-1} + U x_t + b ; readout sees the running |h|."""

    def __init__(self, d_in, d_state):
        super().__init__()
        q, _ = torch.linalg.qr(torch.randn(d_state, d_state))
        self.W = nn.Parameter(1.25 * q)  # fix: self.W = nn.Parameter(0.95 * q)
        self.U = nn.Parameter(torch.randn(d_in, d_state) / math.sqrt(d_in * d_state))
        self.b = nn.Parameter(torch.zeros(d_state))

    def forward(self, x):
        h = x.new_zeros(x.size(0), self.W.size(0))
        feats = []
        for t in range(x.size(1)):
            h = h @ self.W.T + x[:, t] @ self.U + self.b
            feats.append(torch.tanh(h[:, :8]))
        return h, torch.stack(feats, 1).mean(1)


class WearModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = StateCell(2, 32)
        self.fc = nn.Linear(40, 1)

    def forward(self, x):
        h, m = self.cell(x)
        return self.fc(torch.cat([h, m], -1)).squeeze(-1)


def make_batch(n=32, T=120):
    wear = torch.rand(n)
    t = torch.arange(T).float()
    phase = 6.28 * torch.rand(n, 1)
    base = torch.sin(0.4 * t + phase)
    harm = wear[:, None] * torch.sin(1.3 * t + 2 * phase)
    level = (wear[:, None] - 0.5) * 0.6
    x = torch.stack([base + harm, level + 0.3 * torch.randn(n, T)], -1)
    return x, wear * 2 - 1


model = WearModel()
optim = torch.optim.Adam(model.parameters(), lr=2e-3)
running = None
for step in range(250):
    x, target = make_batch()
    pred = model(x)
    loss = (pred - target).pow(2).mean()
    optim.zero_grad()
    loss.backward()
    optim.step()
    running = loss.item() if running is None else 0.9 * running + 0.1 * loss.item()
    if step % 25 == 0:
        print("step", step, "mse", loss.item())
print("final loss", running)
