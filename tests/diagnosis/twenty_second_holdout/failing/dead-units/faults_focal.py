"""Bearing-fault detection: rare impulses in vibration windows, conv net with focal loss and a prior-probability bias.

Cause: dead-units
"""
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
torch.set_num_threads(1); torch.manual_seed(21); rng = np.random.default_rng(21)

CFG = dict(width=24, prior=0.02, gamma=2.0, alpha=0.75, lr=2e-3, iters=450, batch=64, T=128)

def windows(n):
    t = np.arange(CFG["T"])
    x = np.sin(0.31 * t + rng.uniform(0, 6.28, (n, 1))) + 0.4 * rng.standard_normal((n, CFG["T"]))
    y = (rng.random(n) < 0.12).astype(np.float32)
    for i in np.nonzero(y)[0]:
        for c in range(rng.integers(5, 30), CFG["T"], 32):
            k = np.maximum(t - c, 0)
            x[i] += 1.6 * (t >= c) * np.exp(-k / 4.0) * np.cos(1.9 * k)
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y)

class Detector(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, w, 9, 2), nn.ReLU(),
            nn.Conv1d(w, w, 7, 2), nn.ReLU(),
            nn.Conv1d(w, w, 5, 2), nn.ReLU(),
            nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(w, w), nn.ReLU())
        self.head = nn.Linear(w, 1)
        self.reset()

    def reset(self):
        b = -math.log((1 - CFG["prior"]) / CFG["prior"])
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.kaiming_normal_(p, nonlinearity="relu")
            elif name.endswith("bias"):  # fix: elif name == "head.bias":
                nn.init.constant_(p, b)

    def forward(self, x):
        return self.head(self.body(x)).squeeze(1)

def focal(z, y):
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    pt = y * p + (1 - y) * (1 - p)
    a = y * CFG["alpha"] + (1 - y) * (1 - CFG["alpha"])
    return (a * (1 - pt) ** CFG["gamma"] * ce).mean()

net = Detector(CFG["width"])
opt = torch.optim.Adam(net.parameters(), lr=CFG["lr"])
log = []
for i in range(CFG["iters"]):
    x, y = windows(CFG["batch"])
    loss = focal(net(x), y)
    opt.zero_grad(); loss.backward(); opt.step()
    log.append(loss.item())
    if i % 50 == 0: print(f"iter {i}: focal {loss.item():.5f}")
print("final loss", float(np.mean(log[-20:])))
