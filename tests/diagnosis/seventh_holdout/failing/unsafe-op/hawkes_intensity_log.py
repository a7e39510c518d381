"""Neural point process: GRU over event gaps, piecewise intensity, negative log-likelihood.

Cause: unsafe-op
Fails: the intensity is a ReLU, it reaches exactly 0 at some event, log(0) = -inf; the loss is inf from the second epoch on
"""
import numpy as np
import torch
import torch.nn as nn


def simulate_hawkes(n, T, rng, mu=0.3, alpha=0.7, beta=1.5):
    seqs = []
    for _ in range(n):
        t, ev, exc = 0.0, [], 0.0
        while len(ev) < T:
            lam = mu + exc
            w = rng.exponential(1 / lam)
            exc_new = exc * np.exp(-beta * w)
            t += w
            if rng.random() < (mu + exc_new) / lam:
                ev.append(t)
                exc_new += alpha * beta * 0.8
            exc = exc_new
        seqs.append(np.diff([0.0] + ev))
    return torch.tensor(np.array(seqs), dtype=torch.float32)


class NeuralTPP(nn.Module):
    def __init__(self, h=32, grid=8):
        super().__init__()
        self.rnn = nn.GRU(1, h, batch_first=True)
        self.f = nn.Sequential(nn.Linear(h + 1, 32), nn.Tanh(), nn.Linear(32, 1))
        self.u = torch.linspace(0, 1, grid)

    def intensity(self, h, tau):
        raw = self.f(torch.cat([h, torch.log1p(tau)], -1)).squeeze(-1)
        return torch.relu(raw)  # fix: return nn.functional.softplus(raw) + 1e-4

    def nll(self, gaps):
        h, _ = self.rnn(torch.log(gaps + 1e-3).unsqueeze(-1))
        h, tau = h[:, :-1], gaps[:, 1:]
        lam = self.intensity(h, tau.unsqueeze(-1))
        grid = tau.unsqueeze(-1) * self.u
        hg = h.unsqueeze(2).expand(-1, -1, len(self.u), -1)
        integral = torch.trapezoid(self.intensity(hg, grid.unsqueeze(-1)), grid, dim=-1)
        return -(torch.log(lam) - integral).mean()


def main():
    torch.manual_seed(33)
    rng = np.random.default_rng(33)
    data = simulate_hawkes(500, 30, rng)
    model = NeuralTPP()
    model.f[-1].bias.data.fill_(1.0)
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    hist = []
    for ep in range(12):
        for b in torch.randperm(len(data)).split(20):
            loss = model.nll(data[b])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            hist.append(loss.item())
        print(f"epoch {ep}: nll per event {np.mean(hist[-25:]):.4f}")
    print("final loss", float(np.mean(hist[-25:])))


main()
