"""Six-hour-ahead temperature at a weather station, GRU with several channels.

Cause: nonfinite-data
Fails: the loss is not finite from step 0 on (with the fix: final loss 0.009505)
"""
import logging
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler

logging.basicConfig(level=logging.INFO, format="%(message)s", stream=__import__("sys").stdout)
log = logging.getLogger("station")


def station(n=3000, seed=15):
    r = np.random.default_rng(seed)
    t = np.arange(n)
    temp = 8 * np.sin(2 * np.pi * t / 24) + np.cumsum(r.normal(0, 0.15, n))
    dew = temp - 3 + r.normal(0, 0.5, n)
    wind = np.abs(r.normal(4, 2, n))
    wind[2040:2046] = np.nan
    table = np.stack([temp, dew, wind], 1)
    return (table - np.nanmean(table, 0)) / np.nanstd(table, 0)


class Station(Dataset):
    def __init__(self, table, past=36, ahead=6):
        values = torch.tensor(table, dtype=torch.float32)
        # fix: values = torch.nan_to_num(values, nan=0.0)
        self.v, self.past, self.ahead = values, past, ahead

    def __len__(self):
        return len(self.v) - self.past - self.ahead

    def __getitem__(self, i):
        return self.v[i:i + self.past], self.v[i + self.past + self.ahead - 1, 0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.gru(x)[1][-1])[:, 0]


torch.manual_seed(15)
ds = Station(station())
train_idx = range(0, 2400)
valid = [ds[i] for i in range(2450, 2900)]
vx, vy = torch.stack([a for a, _ in valid]), torch.stack([b for _, b in valid])
loader = DataLoader(ds, batch_size=48, sampler=SubsetRandomSampler(list(train_idx)))
net = Net()
opt = torch.optim.AdamW([{"params": net.gru.parameters(), "lr": 2e-3},
                         {"params": net.head.parameters(), "lr": 5e-3}])
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.5, patience=1)
for epoch in range(6):
    for x, y in loader:
        loss = nn.functional.huber_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        v = nn.functional.mse_loss(net(vx), vy).item()
    plateau.step(v)
    log.info("epoch %d train %.4f valid %.4f", epoch, loss.item(), v)
print("final loss", v)
