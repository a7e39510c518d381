"""Road graph speed imputation with a two-layer graph conv, gradient accumulation over 64 snapshots, SGD momentum.

Cause: loss-scale
Fails: the accumulated losses are not divided by the number of micro-batches; gradients are 64x, the loss is nan after a few updates
"""
import numpy as np
import torch
import torch.nn as nn


def ring_with_chords(n, rng):
    A = np.eye(n)
    for i in range(n):
        A[i, (i + 1) % n] = A[(i + 1) % n, i] = 1
    for _ in range(n // 2):
        i, j = rng.integers(0, n, 2)
        A[i, j] = A[j, i] = 1
    d = A.sum(1)
    return torch.tensor(A / np.sqrt(d[:, None] * d[None]), dtype=torch.float32)


class GCN(nn.Module):
    def __init__(self, A, h=32):
        super().__init__()
        self.register_buffer("A", A)
        self.w1, self.w2, self.w3 = nn.Linear(2, h), nn.Linear(h, h), nn.Linear(h, 1)

    def forward(self, x):
        h = torch.relu(self.A @ self.w1(x))
        h = torch.relu(self.A @ self.w2(h)) + h
        return self.w3(h).squeeze(-1)


class Snapshots:
    def __init__(self, A, seed):
        self.A, self.g = A, torch.Generator().manual_seed(seed)

    def next(self):
        z = torch.randn(4, self.A.shape[0], generator=self.g)
        for _ in range(3):
            z = z @ self.A
        z = z / z.std()
        m = (torch.rand(z.shape, generator=self.g) < 0.4).float()
        return torch.stack([z * (1 - m), m], -1), z, m


ACCUM = 64


def main():
    torch.manual_seed(23)
    A = ring_with_chords(40, np.random.default_rng(23))
    net = GCN(A)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    data = Snapshots(A, 1)
    hist = []
    for step in range(130):
        opt.zero_grad()
        tot = 0.0
        for _ in range(ACCUM):
            x, z, m = data.next()
            loss = ((net(x) - z) ** 2 * m).sum() / m.sum()
            loss.backward()  # fix: (loss / ACCUM).backward()
            tot += loss.item()
        opt.step()
        hist.append(tot / ACCUM)
        if step % 10 == 0:
            print(f"update {step}: loss {hist[-1]:.5g}")
    print("final loss", float(np.mean(hist[-10:])))


if __name__ == "__main__":
    main()
