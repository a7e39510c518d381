# %% [markdown]
"""Keyword spotting on made-up power spectrograms, conv + GRU, half precision autocast.

Cause: half-overflow
Fails: the frame energy (a sum of squares) passes 65504 in float16 and is inf, so every frame is divided by inf; the loss stays at ln 6 = 1.79
"""
# %%
import torch, torch.nn as nn, torch.nn.functional as F
import numpy as np
torch.manual_seed(5); np.random.seed(5)

N, T, M, C = 1600, 40, 40, 6
# %% fake "audio": each class has a chirp in the mel plane
y = np.random.randint(0, C, N)
tt = np.arange(T)[:, None]; mm = np.arange(M)[None]
X = np.zeros((N, T, M), np.float32)
for i in range(N):
    c = y[i]
    centre = 8 + 4 * c + (0.15 + 0.1 * (c % 3)) * (tt - 20) + np.random.randn()
    X[i] = 3 * np.exp(-0.5 * ((mm - centre) / 2) ** 2) + np.random.randn(T, M)
X *= 150.0  # the front end gives fixed-point counts; the RMS norm of each frame takes care of the level
X = torch.tensor(X); y = torch.tensor(y)
Xtr, ytr, Xva, yva = X[:1400], y[:1400], X[1400:], y[1400:]


# %%
class FrameNorm(nn.Module):
    """RMS norm of each frame, learned scale. Kept in the dtype of its input (faster)."""

    def __init__(self, d):
        super().__init__()
        self.g = nn.Parameter(torch.ones(d))

    def forward(self, x):
        energy = (x * x).sum(-1, keepdim=True)  # fix: energy = (x.float() * x.float()).sum(-1, keepdim=True)
        return (x / torch.sqrt(energy / x.shape[-1] + 1e-5)).to(x.dtype) * self.g.to(x.dtype)


class KWS(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.inp = nn.Linear(M, d)
        self.n1 = FrameNorm(d)
        self.mid = nn.Linear(d, d)
        self.n2 = FrameNorm(d)
        self.gru = nn.GRU(d, 48, batch_first=True)
        self.head = nn.Linear(48, C)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            h = F.gelu(self.n1(self.inp(x)))
            h = F.gelu(self.n2(self.mid(h)))
        h, _ = self.gru(h.float())
        return self.head(h.mean(1))


# %%
net = KWS()
opt = torch.optim.AdamW(net.parameters(), lr=2e-3)
hist = []
for ep in range(6):
    perm = torch.randperm(1400)
    for k in range(0, 1400, 40):
        idx = perm[k:k + 40]
        loss = F.cross_entropy(net(Xtr[idx]), ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
    with torch.no_grad():
        acc = (net(Xva).argmax(1) == yva).float().mean()
    print(ep, "loss", round(float(np.mean(hist[-35:])), 4), "val acc", round(float(acc), 3))
print("final loss", float(np.mean(hist[-35:])))
