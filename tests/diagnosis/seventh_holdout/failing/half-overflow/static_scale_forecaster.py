"""Solar production forecast with the model in float16 and float32 master weights, fixed loss scale (apex-O2 style by hand).

Cause: half-overflow
Fails: the fixed scale of 2**20 pushes the float16 gradients over 65504; they are inf, the master weights nan at the first step
"""
import copy
import numpy as np
import torch
import torch.nn as nn

LOSS_SCALE = 2.0 ** 20  # fix: LOSS_SCALE = 2.0 ** 7


class MLPForecaster(nn.Module):
    def __init__(self, w=24):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(2 * w, 128), nn.Linear(128, 64), nn.Linear(64, 6)
        self.n = nn.LayerNorm(128)

    def forward(self, x):
        h = torch.relu(self.n(self.a(x)))
        return self.c(torch.relu(self.b(h)))


def solar(n, rng):
    t = np.arange(n)
    clear = np.clip(np.sin((t % 24 - 6) / 12 * np.pi), 0, None)
    c = np.zeros(n)
    for i in range(1, n):
        c[i] = 0.92 * c[i - 1] + 0.39 * rng.standard_normal()
    k = 1 / (1 + np.exp(-c - 0.5))
    return np.stack([clear * k * 3 - 0.6, c + 0.2 * rng.standard_normal(n)], 1)


class MixedTrainer:
    def __init__(self, lr):
        self.half = MLPForecaster().half()
        self.master = [p.detach().clone().float().requires_grad_(True) for p in self.half.parameters()]
        self.opt = torch.optim.Adam(self.master, lr=lr)

    def step(self, x, y):
        out = self.half(x.half())
        loss = (out.float() - y).pow(2).mean()
        self.half.zero_grad()
        (loss * LOSS_SCALE).backward()
        for m, p in zip(self.master, self.half.parameters()):
            m.grad = p.grad.float() / LOSS_SCALE
        nn.utils.clip_grad_norm_(self.master, 1.0)
        self.opt.step()
        with torch.no_grad():
            for m, p in zip(self.master, self.half.parameters()):
                p.copy_(m)
        return loss.item()


def main():
    torch.manual_seed(70)
    rng = np.random.default_rng(70)
    S = solar(8000, rng)
    X = np.stack([S[i:i + 24].reshape(-1) for i in range(8000 - 30)])
    Y = np.stack([S[i + 24:i + 30, 0] for i in range(8000 - 30)])
    X, Y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)
    tr = MixedTrainer(1e-3)
    hist = []
    for step in range(700):
        i = torch.tensor(rng.integers(0, len(X), 64))
        hist.append(tr.step(X[i], Y[i]))
        if step % 70 == 0:
            print("step", step, "loss", round(hist[-1], 5))
    print("final loss", float(np.mean(hist[-50:])))


main()
