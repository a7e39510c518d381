"""One-step-ahead conditional variance of an exchange rate (GARCH-like process), LSTM trained with the Gaussian negative log-likelihood.

Cause: unsafe-op
Fails: final correlation with true variance nan (with the fix 0.9857)
"""
import math
import torch
import torch.nn as nn


def simulate(T, seed):
    g = torch.Generator().manual_seed(seed)
    eps = torch.randn(T, generator=g)
    season = 0.5 + 0.5 * torch.sin(2 * math.pi * torch.arange(T) / 60)
    v = torch.zeros(T)
    r = torch.zeros(T)
    v[0] = 0.5
    for t in range(1, T):
        v[t] = 0.004 + 0.15 * r[t - 1] ** 2 + 0.3 * v[t - 1] + 0.8 * season[t] ** 3
        r[t] = v[t].sqrt() * eps[t]
    return r, v, season


class VolNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(3, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        nn.init.zeros_(self.fc.bias)
        self.positive = nn.ReLU()  # fix: self.positive = nn.Softplus()

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.positive(self.fc(h)).squeeze(-1)


def nll(var, r):
    return 0.5 * (torch.log(var) + r ** 2 / var).mean()


def features(r, season):
    return torch.stack([r, r.abs(), season], -1)


def cut(r, v, season, L=40, stride=5):
    x = features(r, season)
    xs, ys, vs = [], [], []
    for i in range(0, len(r) - L - 1, stride):
        xs.append(x[i:i + L])
        ys.append(r[i + 1:i + L + 1])
        vs.append(v[i + 1:i + L + 1])
    return torch.stack(xs), torch.stack(ys), torch.stack(vs)


def main():
    torch.manual_seed(4)
    xtr, ytr, _ = cut(*simulate(4000, 1))
    xte, yte, vte = cut(*simulate(1200, 2))
    net = VolNet()
    opt = torch.optim.Adam(net.parameters(), lr=5e-3)
    for ep in range(12):
        order = torch.randperm(len(xtr))
        s = 0.0
        for k in range(0, len(order), 32):
            j = order[k:k + 32]
            loss = nll(net(xtr[j]), ytr[j])
            opt.zero_grad()
            loss.backward()
            opt.step()
            s += loss.item() * len(j)
        print("epoch", ep, "nll", s / len(order))
    with torch.no_grad():
        p = net(xte)[:, 10:]
        q = vte[:, 10:]
        pc, qc = p - p.mean(), q - q.mean()
        corr = (pc * qc).mean() / (pc.std() * qc.std())
    print("final correlation with true variance: %.4f" % corr.item())


main()
