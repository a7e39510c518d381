"""Factor model of banner click rates per (advertiser, site) cell from daily aggregates.
Cause: nonfinite-data
Fails: the loss is not finite within the first epoch of 235 steps
"""
import numpy as np
import torch
import torch.nn as nn

np.seterr(all="ignore")


def daily_table(rng, rows):
    adv = rng.integers(0, 60, rows)
    site = rng.integers(0, 80, rows)
    hour = rng.uniform(0, 24, rows)
    quality = np.sin(adv * 1.7) + np.cos(site * 0.9) * np.sin(adv * 0.4) + 0.5 * np.cos(hour / 24 * 6.28)
    rate = 1 / (1 + np.exp(2.0 - quality))
    shown = rng.poisson(rng.gamma(4.0, 40.0, rows))
    shown[rng.random(rows) < 0.0004] = 0
    clicks = rng.binomial(shown, rate)
    return adv, site, hour, shown, clicks


def make_target(shown, clicks):
    return clicks / shown  # fix: return clicks / np.maximum(shown, 1)


class Factor(nn.Module):
    def __init__(self, k=8):
        super().__init__()
        self.a = nn.Embedding(60, k)
        self.s = nn.Embedding(80, k)
        self.f = nn.Sequential(nn.Linear(2 * k + 2, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, a, s, h):
        t = torch.stack([torch.sin(h / 24 * 6.2832), torch.cos(h / 24 * 6.2832)], 1)
        return torch.sigmoid(self.f(torch.cat([self.a(a), self.s(s), t], 1))).squeeze(1)


def run():
    rng = np.random.default_rng(33)
    torch.manual_seed(33)
    adv, site, hour, shown, clicks = daily_table(rng, 30000)
    target = torch.tensor(make_target(shown, clicks), dtype=torch.float32)
    adv, site = torch.tensor(adv), torch.tensor(site)
    hour = torch.tensor(hour, dtype=torch.float32)
    net = Factor()
    opt = torch.optim.Adam(net.parameters(), 4e-3)
    for ep in range(8):
        acc = []
        for b in torch.randperm(len(target)).split(128):
            loss = ((net(adv[b], site[b], hour[b]) - target[b]) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            acc.append(loss.item())
        print("epoch", ep, "mse", float(np.mean(acc)), "first batches", float(np.mean(acc[:3])))
    return float(np.mean(acc))


if __name__ == "__main__":
    print("final loss", run())
