"""Seismic station: an LSTM predicts the next samples of ground velocity; quiet weeks come first, then a swarm of tremors.

Cause: stale-second-moment
"""
import argparse
import numpy as np
import torch
import torch.nn as nn


def ground_motion(n, rng):
    """AR(2) microseism, later on with bursts of resonant tremor on top"""
    x = np.zeros(n)
    for i in range(2, n):
        x[i] = 1.6 * x[i - 1] - 0.8 * x[i - 2] + 0.01 * rng.standard_normal()
    t = np.arange(n)
    env = np.zeros(n)
    for c in range(int(n * 0.42), n, 60):
        env += rng.uniform(0.8, 1.6) * np.exp(-0.5 * ((t - c - rng.integers(0, 40)) / 25.0) ** 2)
    return (x + env * np.sin(0.7 * t + 2 * np.sin(t / 50.0))).astype(np.float32)


class Station(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.rnn = nn.LSTM(1, hid, num_layers=1, batch_first=True)
        self.lin = nn.Linear(hid, 3)

    def forward(self, x):
        return self.lin(self.rnn(x[..., None])[0])


class WarmupAdam:
    """Adam whose preconditioner is gathered in a warm-up (the variance stage of 1-bit Adam)"""

    stage = 150  # fix: stage = 10 ** 9

    def __init__(self, params, lr, b1=0.9, b2=0.98, eps=1e-8):
        self.ps, self.lr, self.b1, self.b2, self.eps, self.t = list(params), lr, b1, b2, eps, 0
        self.m = [torch.zeros_like(p) for p in self.ps]
        self.v = [torch.zeros_like(p) for p in self.ps]

    def zero_grad(self):
        for p in self.ps:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        k = min(self.t, self.stage)
        for p, m, v in zip(self.ps, self.m, self.v):
            m.lerp_(p.grad, 1 - self.b1)
            if self.t <= self.stage:
                v.lerp_(p.grad.square(), 1 - self.b2)
            mh = m / (1 - self.b1 ** self.t)
            vh = v / (1 - self.b2 ** k)
            p.sub_(self.lr * mh / (vh.sqrt() + self.eps))


def main(a):
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    rng = np.random.default_rng(a.seed)
    x = torch.from_numpy(ground_motion(20000, rng))
    net = Station(a.hid)
    opt = WarmupAdam(net.parameters(), a.lr)
    keep = []
    for k in range(a.steps):
        base = int(k / a.steps * (len(x) - 1500))
        ix = base + torch.randint(0, 1300, (16,))
        seq = torch.stack([x[i:i + 53] for i in ix])
        inp = seq[:, :50]
        out = net(inp)
        tgt = torch.stack([seq[:, 1:51], seq[:, 2:52], seq[:, 3:53]], -1)
        loss = ((out - tgt) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        keep.append(loss.item())
        if k % 60 == 0:
            print(f"{k:4d}/{a.steps}: mse {np.mean(keep[-20:]):.6f}")
    print("final loss", float(np.mean(keep[-20:])))


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--lr", type=float, default=5e-3)
    p.add_argument("--hid", type=int, default=32)
    p.add_argument("--steps", type=int, default=700)
    p.add_argument("--seed", type=int, default=4)
    main(p.parse_args())
