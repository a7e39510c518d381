"""Vowel recogniser on 16-bit PCM frames (raw wave -> conv net).

Cause: input-scale
Fails: samples in [-32768, 32767] go in as they are; loss in the thousands, then stuck / nan.
"""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(123)
torch.manual_seed(123)
formants = {0: (730, 1090), 1: (270, 2290), 2: (300, 870), 3: (530, 1840), 4: (570, 840)}


def speak(v, n=400, sr=8000):
    t = np.arange(n) / sr
    f0 = rng.uniform(90, 220)
    s = np.zeros(n)
    for h in range(1, 15):
        a = sum(np.exp(-((h * f0 - f) / 150) ** 2) for f in formants[v]) + 0.02
        s += a * np.sin(2 * np.pi * h * f0 * t + rng.uniform(0, 6.28))
    s = s / abs(s).max() * rng.uniform(0.4, 0.95) + rng.normal(0, 0.01, n)
    return (s * 32767).clip(-32768, 32767).astype(np.int16)


lab = rng.integers(0, 5, 1200)
wav = np.stack([speak(v) for v in lab])
Y = torch.from_numpy(lab)
X = torch.from_numpy(wav).float().unsqueeze(1)  # fix: X = torch.from_numpy(wav).float().unsqueeze(1) / 32768 * 3

model = nn.Sequential(
    nn.Conv1d(1, 24, 64, stride=8), nn.ReLU(), nn.Conv1d(24, 32, 5, stride=2), nn.ReLU(),
    nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5))
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
crit = nn.CrossEntropyLoss()
for ep in range(32):
    m = 0.0
    for i in torch.randperm(1200).split(40):
        out = model(X[i])
        loss = crit(out, Y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        m += loss.item() / 30
    if ep % 2 == 1:
        print(f"epoch {ep + 1:02d} loss {m:.4f}")
print(f"final loss {m:.5f}")
