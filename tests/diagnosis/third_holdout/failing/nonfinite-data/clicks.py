"""Click prediction from daily counters of each ad, with an EMA of the weights.

Cause: nonfinite-data
Fails: the loss is not finite from step 1 on
"""
import copy

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Ads(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        views = torch.poisson(torch.full((n,), 6.0), generator=g)
        clicks = torch.binomial(views, torch.rand(n, generator=g), generator=g)
        age = torch.rand(n, generator=g)
        rate = clicks / views  # fix: rate = clicks / views.clamp(min=1)
        x = torch.stack([rate, views / 10, age], 1)
        logit = 5 * (clicks / views.clamp(min=1) - 0.5) - 2 * (age - 0.5)
        self.x, self.y = x, (torch.rand(n, generator=g) < logit.sigmoid()).float()

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


@torch.no_grad()
def blend(avg, live, decay=0.99):
    for a, b in zip(avg.parameters(), live.parameters()):
        a.lerp_(b, 1 - decay)


def main():
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
    shadow = copy.deepcopy(net)
    opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
    crit = nn.BCEWithLogitsLoss()
    ads = Ads(6000, 31)
    for epoch in range(7):
        seen = 0.0
        for x, y in DataLoader(ads, batch_size=40, shuffle=True):
            opt.zero_grad()
            loss = crit(net(x).squeeze(1), y)
            loss.backward()
            opt.step()
            blend(shadow, net)
            seen += loss.item() * len(y)
        print("epoch", epoch, seen / len(ads))
    with torch.no_grad():
        print("final loss", crit(shadow(ads.x).squeeze(1), ads.y).item())


main()
