"""Negative-binomial claim counts with exposure offsets; heavy-tailed counts make the gradient spiky and the loss noisy.
"""
import numpy as np
import torch
import torch.nn as nn


class NegBin(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 64), nn.SiLU(), nn.Linear(64, 32), nn.SiLU(), nn.Linear(32, 1))
        self.log_r = nn.Parameter(torch.tensor(0.0))

    def nll(self, x, expo, y):
        log_mu = self.net(x).squeeze(1) + expo.log()
        r = self.log_r.exp()
        lrm = torch.logaddexp(self.log_r, log_mu)
        return -(torch.lgamma(y + r) - torch.lgamma(r) - torch.lgamma(y + 1) + r * (self.log_r - lrm) + y * (log_mu - lrm)), log_mu


def main():
    rng = np.random.default_rng(8)
    torch.manual_seed(8)
    n = 20000
    x = rng.normal(size=(n, 8))
    expo = rng.uniform(0.05, 3.0, n)
    rate = np.exp(0.9 * x[:, 0] - 0.7 * x[:, 1] * x[:, 2] + 0.6 * np.sin(2 * x[:, 3]) + 1.0)
    y = rng.poisson(expo * rate * rng.gamma(0.7, 1 / 0.7, n))
    X, E, Y, LR = (torch.tensor(a, dtype=torch.float32) for a in (x, expo, y, np.log(rate)))
    m = NegBin(8)
    opt = torch.optim.Adam(m.parameters(), lr=2e-3)
    for ep in range(14):
        tot = []
        for b in torch.randperm(n).split(100):
            nll, _ = m.nll(X[b], E[b], Y[b])
            opt.zero_grad()
            nll.mean().backward()
            opt.step()
            tot.append(nll.mean().item())
        print(f"epoch {ep} nll {np.mean(tot):.4f} worst batch {max(tot):.3f} biggest count {int(Y.max())}")
    with torch.no_grad():
        _, lm = m.nll(X, E, Y)
        print("log-rate error", (lm - E.log() - LR).square().mean().item())
    print("final loss", float(np.mean(tot)))


main()
