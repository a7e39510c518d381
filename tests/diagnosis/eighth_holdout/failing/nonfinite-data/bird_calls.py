"""Spectrogram CNN on synthetic bird calls (chirps up, chirps down, trills) cut from a field recorder.
Cause: nonfinite-data
Fails: the loss is not finite within the first epoch of 22 steps
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SR, N = 4000, 2048


def call(kind, rng):
    t = np.arange(N) / SR
    f0 = rng.uniform(500, 900)
    if kind == 0:
        ph = 2 * np.pi * (f0 * t + 700 * t ** 2)
    elif kind == 1:
        ph = 2 * np.pi * ((f0 + 700) * t - 700 * t ** 2)
    else:
        ph = 2 * np.pi * f0 * t + 6 * np.sin(2 * np.pi * 20 * t)
    return np.sin(ph) * rng.uniform(0.1, 1.0)


def recording(kind, rng):
    w = call(kind, rng) + 0.05 * rng.normal(size=N)
    if rng.random() < 0.006:
        w[rng.integers(0, 1200):] = 0.0
    return w.astype(np.float32)


def spectrogram(w):
    win = np.hanning(128)
    fr = np.stack([w[i:i + 128] * win for i in range(0, N - 128, 64)])
    power = np.abs(np.fft.rfft(fr, axis=1)[:, :64]) ** 2
    return np.log(power)  # fix: return np.log(np.maximum(power, 1e-6))


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 5, 2, 2)
        self.c2 = nn.Conv2d(12, 24, 3, 2, 1)
        self.out = nn.Linear(24, 3)

    def forward(self, x):
        x = F.relu(self.c2(F.relu(self.c1(x / 10))))
        return self.out(x.mean((2, 3)))


def main():
    rng = np.random.default_rng(4)
    torch.manual_seed(4)
    lab = rng.integers(0, 3, 700)
    np.seterr(divide="ignore")
    X = torch.tensor(np.stack([spectrogram(recording(k, rng)) for k in lab]), dtype=torch.float32)[:, None]
    Y = torch.tensor(lab)
    net = CNN()
    opt = torch.optim.AdamW(net.parameters(), 5e-3)
    for ep in range(12):
        tot, nb = 0.0, 0
        for idx in torch.randperm(len(X)).split(32):
            loss = F.cross_entropy(net(X[idx]), Y[idx])
            opt.zero_grad(); loss.backward(); opt.step()
            tot += loss.item(); nb += 1
        print(f"epoch {ep}: {tot / nb:.4f}")
    print("final loss", tot / nb)


main()
