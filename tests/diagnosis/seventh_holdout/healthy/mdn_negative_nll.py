"""Mixture density LSTM for a two-branch sensor signal: the negative log-likelihood goes below zero."""
import math
import numpy as np
import torch
import torch.nn as nn


class MDN(nn.Module):
    def __init__(self, h=40, k=4):
        super().__init__()
        self.rnn = nn.LSTM(1, h, batch_first=True)
        self.pi, self.mu, self.ls = nn.Linear(h, k), nn.Linear(h, k), nn.Linear(h, k)

    def forward(self, x):
        h = self.rnn(x)[0]
        return self.pi(h).log_softmax(-1), self.mu(h), self.ls(h).clamp(-6, 3)

    def nll(self, x, y):
        lp, mu, ls = self(x)
        z = (y - mu) / ls.exp()
        return -torch.logsumexp(lp - ls - 0.5 * z * z - 0.5 * math.log(2 * math.pi), -1).mean()


def series(n, T, rng):
    x = np.zeros((n, T + 1), np.float32)
    x[:, 0] = rng.uniform(-0.5, 0.5, n)
    for t in range(T):
        b = np.where(rng.random(n) < 0.8, 0.3, -0.3)
        x[:, t + 1] = 0.6 * x[:, t] + b + 0.01 * rng.standard_normal(n)
    return torch.tensor(x)[..., None]


def main():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tr, va = series(1500, 25, rng), series(300, 25, rng)
    net = MDN()
    opt = torch.optim.Adam(net.parameters(), lr=4e-3)
    best = float("inf"); ckpt = None
    for ep in range(10):
        net.train()
        for b in torch.randperm(1500).split(32):
            loss = net.nll(tr[b][:, :-1], tr[b][:, 1:])
            opt.zero_grad(); loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
        net.eval()
        with torch.no_grad():
            v = net.nll(va[:, :-1], va[:, 1:]).item()
        if v < best:
            best, ckpt = v, {k: t.clone() for k, t in net.state_dict().items()}
        print(f"epoch {ep} train nll {loss.item():.4f} val nll {v:.4f}")
    net.load_state_dict(ckpt)
    with torch.no_grad():
        print("final loss", net.nll(va[:, :-1], va[:, 1:]).item())


main()
