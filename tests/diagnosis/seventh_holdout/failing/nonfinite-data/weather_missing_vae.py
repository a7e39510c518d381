"""VAE of daily weather profiles (24 hours x 3 variables) from a table with missing values.

Cause: nonfinite-data
Fails: missing humidity readings stay nan in the input and target; the loss is nan within the first epoch
"""
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F


def read_csv(seed=19, days=2500):
    """stands for pd.read_csv(...).values"""
    rng = np.random.default_rng(seed)
    h = np.arange(24)
    season = rng.uniform(0, 2 * np.pi, (days, 1))
    temp = 10 + 9 * np.sin(season) + (4 + 2 * np.sin(season)) * np.sin((h - 8) / 24 * 2 * np.pi) + rng.normal(0, 0.6, (days, 24))
    hum = 75 - 1.3 * (temp - 10) + rng.normal(0, 5, (days, 1)) + rng.normal(0, 1.5, (days, 24))
    rad = np.clip((2 + np.sin(season)) * 200 * np.sin((h - 6) / 12 * np.pi), 0, None) * rng.uniform(0.3, 1, (days, 1))
    tab = np.stack([temp, hum, rad], 2)
    gaps = rng.choice(days, 12, replace=False)
    for d in gaps:
        k = rng.integers(0, 20)
        tab[d, k:k + 4, 1] = np.nan
    return tab


class VAE(nn.Module):
    def __init__(self, d=72, z=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(d, 96), nn.ELU(), nn.Linear(96, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 96), nn.ELU(), nn.Linear(96, d))

    def forward(self, x):
        mu, lv = self.enc(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
        return self.dec(z), mu, lv


def elbo(out, x):
    rec, mu, lv = out
    r = 0.5 * F.mse_loss(rec, x, reduction="none").sum(-1) / 0.05
    kl = 0.5 * (mu ** 2 + lv.exp() - 1 - lv).sum(-1)
    return (r + kl).mean() / x.shape[-1]


def main():
    torch.manual_seed(19)
    tab = read_csv()
    tab = (tab - np.nanmean(tab, (0, 1))) / np.nanstd(tab, (0, 1))
    # fix: tab = np.nan_to_num(tab)
    X = torch.tensor(tab.reshape(len(tab), -1), dtype=torch.float32)
    net = VAE()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=25 * 63)
    hist = []
    for ep in range(25):
        for b in torch.randperm(len(X)).split(40):
            loss = elbo(net(X[b]), X[b])
            opt.zero_grad()
            loss.backward()
            opt.step(); sched.step()
            hist.append(loss.item())
        if ep % 4 == 0:
            print("epoch", ep, "elbo/dim", np.mean(hist[-63:]))
    print("final loss", float(np.mean(hist[-63:])))


main()
