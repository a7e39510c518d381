"""Machine sound classifier on log mel patches, ReLU conv net with an aggressive warm-up free start (Kaggle script).

Cause: dead-units
Fails: the loss stays at the constant guess (1.61, ln 5)
"""
import argparse
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def patches(rng, n, classes=5, mels=16, frames=16):
    y = rng.integers(0, classes, n)
    m = np.arange(mels)[None, :, None]
    f = np.arange(frames)[None, None, :]
    c = (2 + 3 * y)[:, None, None] + rng.normal(0, 0.5, (n, 1, 1))
    x = np.exp(-((m - c) / 1.5) ** 2) * (1 + 0.4 * np.sin(f * (1 + y[:, None, None]) / 3))
    x = np.log(x + 0.3 + 0.2 * rng.random((n, mels, frames)))
    return torch.tensor((x + 0.7)[:, None], dtype=torch.float32), torch.tensor(y)


class SoundNet(nn.Module):
    def __init__(self, ch=24, classes=5):
        super().__init__()
        self.c1 = nn.Conv2d(1, ch, 3, padding=1)
        self.c2 = nn.Conv2d(ch, ch, 3, stride=2, padding=1)
        self.c3 = nn.Conv2d(ch, ch, 3, stride=2, padding=1)
        self.fc = nn.Linear(ch, classes)
        self.threshold = 1.5  # fix: self.threshold = 0.0

    def act(self, x):
        return F.relu(x - self.threshold)

    def forward(self, x):
        x = self.act(self.c1(x))
        x = self.act(self.c2(x))
        x = self.act(self.c3(x))
        return self.fc(x.mean((2, 3)))


def main(argv=None):
    p = argparse.ArgumentParser()
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--steps", type=int, default=400)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--seed", type=int, default=16)
    a = p.parse_args(argv)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    net = SoundNet()
    opt = torch.optim.AdamW(net.parameters(), lr=a.lr, weight_decay=1e-2)
    hist = []
    for s in range(a.steps):
        x, y = patches(rng, a.batch)
        loss = F.cross_entropy(net(x), y, label_smoothing=0.02)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if s % 50 == 0:
            print(s, hist[-1])
    print("final loss", float(np.mean(hist[-20:])))


if __name__ == "__main__":
    main()
