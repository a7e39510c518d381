"""Sequence autoencoder on engine run-to-failure sensors; the reconstruction error is the health index.

Cause: nonfinite-data
Fails: final held-out reconstruction mse nan (with the fix 0.0517)
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(4)
rs = np.random.RandomState(4)
N_ENG, LIFE, WIN = 30, 160, 30
OPTS = dict(hidden=40, latent=6, lr=3e-3, epochs=10, batch=64)


def engine():
    t = np.arange(LIFE)
    wear = np.clip((t - 90) / 70, 0, None) ** 2
    phase = rs.rand() * 6
    load = np.sin(t / 9 + phase)
    cols = [
        518 + 1.5 * load + 6 * wear,
        1400 + 12 * load + 20 * wear,
        0.0 * t,
        47 - 0.4 * load - 2 * wear,
        np.cos(t / 9 + phase) * 3 + 390,
        0.03 + 0.002 * load * load,
    ]
    x = np.stack(cols, 1)
    noise = np.array([.2, 2, 0, .06, .4, .0002])
    return (x + noise * rs.randn(*x.shape)).astype(np.float32)


class Standardizer:
    def fit(self, x):
        self.mu = x.mean(0)
        self.sd = x.std(0)
        # fix: self.sd[self.sd < 1e-8] = 1.0
        return self

    def __call__(self, x):
        return (x - self.mu) / self.sd


class SeqAE(nn.Module):
    def __init__(self, d, hidden, latent):
        super().__init__()
        self.enc = nn.LSTM(d, hidden, batch_first=True)
        self.to_z = nn.Linear(hidden, latent)
        self.from_z = nn.Linear(latent, hidden)
        self.dec = nn.LSTM(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, d)

    def forward(self, x):
        _, (h, _) = self.enc(x)
        z = self.to_z(h[-1])
        rep = torch.tanh(self.from_z(z))[:, None].expand(-1, x.size(1), -1)
        y, _ = self.dec(rep)
        return self.out(y)


engines = [engine() for _ in range(N_ENG)]
healthy = np.concatenate([e[:80] for e in engines[:24]])
std = Standardizer().fit(healthy)
wins = np.stack([std(e)[s:s + WIN] for e in engines[:24] for s in range(0, 80 - WIN, 2)])
X = torch.from_numpy(wins.astype(np.float32))
print("train windows", tuple(X.shape))

net = SeqAE(X.size(2), OPTS["hidden"], OPTS["latent"])
optimizer = torch.optim.Adam(net.parameters(), lr=OPTS["lr"])
for epoch in range(OPTS["epochs"] * 2):
    perm = torch.randperm(len(X))
    losses = []
    for chunk in perm.split(OPTS["batch"]):
        xb = X[chunk]
        loss = nn.functional.mse_loss(net(xb), xb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    if epoch % 4 == 0:
        print(f"{epoch:3d} recon {np.mean(losses):.4f}")

with torch.no_grad():
    ev = torch.from_numpy(np.stack([std(e)[s:s + WIN] for e in engines[24:] for s in (10, 25, 40)]).astype(np.float32))
    rec = (net(ev) - ev).pow(2).mean().item()
print(f"final held-out reconstruction mse: {rec:.4f}")
