"""Demand forecast per shop with an LSTM; the source system writes 999999 when a day was not counted.

Cause: outlier-batch
Fails: the loss is healthy up to the batch of step 262 and not finite from step 285 on
First bad: step 285, loss, mean
"""

import random

import torch
import torch.nn as nn

random.seed(1)
torch.manual_seed(1)

SHOPS, DAYS, WINDOW = 30, 340, 10
demand = []
for shop in range(SHOPS):
    level, amplitude = random.uniform(-0.5, 0.5), random.uniform(0.5, 1.0)
    phase = random.randrange(7)
    demand.append([level + amplitude * (((d + phase) % 7) / 3 - 1) + random.gauss(0, 0.1) for d in range(DAYS)])
demand = torch.tensor(demand)

pairs = [(s, d) for s in range(SHOPS) for d in range(WINDOW, DAYS)]
random.shuffle(pairs)
shop, day = pairs[32 * 262 + 5]
target = demand.clone()
target[shop, day] = 999_999.0
# fix: target = torch.where(target > 1000, demand, target)


class DemandLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, window):
        h, _ = self.lstm(window[..., None])
        return self.out(h[:, -1])[:, 0]


model = DemandLSTM()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.8)
losses = []
for begin in range(0, len(pairs) - 32, 32):
    chosen = pairs[begin : begin + 32]
    x = torch.stack([demand[s, d - WINDOW : d] for s, d in chosen])
    y = torch.stack([target[s, d] for s, d in chosen])
    optimizer.zero_grad()
    loss = ((model(x) - y) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
