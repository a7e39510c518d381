"""A GRU over packed parcel routes of different length learns the travel time in days, reading the depot's log in order.

Cause: outlier-batch
Fails: one parcel that was lost and found has a travel time of years, its squared error throws the network out for good
"""
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence, pack_padded_sequence

random.seed(55)
torch.manual_seed(55)
HUBS = "leeds york hull derby stoke bath exeter truro".split()
HOURS = {(a, b): 4 + (i * 7 + j * 5) % 17 for i, a in enumerate(HUBS) for j, b in enumerate(HUBS)}


def parcel(k):
    route = [random.randrange(len(HUBS)) for _ in range(random.randint(2, 7))]
    hours = sum(HOURS[HUBS[a], HUBS[b]] for a, b in zip(route, route[1:]))
    days = hours / 24 + random.gauss(0, 0.05)
    if k == 5203:
        days = days + 365 * 9
    return torch.tensor(route), days


LOG = [parcel(k) for k in range(9600)]


def collate(rows):
    routes, days = zip(*rows)
    y = torch.tensor(days)
    # fix: y = y.clamp(max=10.0)
    return pad_sequence(routes, batch_first=True), torch.tensor([len(r) for r in routes]), y


class Eta(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.emb = nn.Embedding(len(HUBS), 16)
        self.gru = nn.GRU(16, h, batch_first=True)
        self.out = nn.Sequential(nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 1))

    def forward(self, x, n):
        _, h = self.gru(pack_padded_sequence(self.emb(x), n, batch_first=True, enforce_sorted=False))
        return self.out(h[0]).squeeze(1)


model = Eta()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
log = []
for x, n, y in torch.utils.data.DataLoader(LOG, batch_size=16, collate_fn=collate):
    loss = nn.functional.mse_loss(model(x, n), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if len(log) % 60 == 0:
        print(len(log), f"{sum(log[-60:]) / 60:.4g}")
print("final loss", sum(log[-50:]) / 50)
