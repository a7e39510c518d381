"""A GRU forecasts hourly page views with a Poisson likelihood; the forward pass runs in float16 autocast.

Cause: half-overflow
Fails: learns well for 119 steps, then the loss is NaN
"""

import math

import torch
from torch import nn

torch.manual_seed(17)


def page_views(hours):
    t = torch.arange(float(hours))
    level = 8.2 + 1.2 * torch.sin(2 * math.pi * t / 24) + 0.3 * torch.sin(2 * math.pi * t / 168)
    campaign = ((t % 504) >= 440) & ((t % 504) < 480)
    return torch.poisson((level + 2.0 * campaign).exp()), campaign.float()


class Views(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRUCell(2, hidden)
        self.head = nn.Sequential(nn.Linear(hidden, 32), nn.SiLU(), nn.Linear(32, 1))
        nn.init.constant_(self.head[-1].bias, 8.0)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 32)
        for t in range(x.shape[1]):
            h = self.gru(x[:, t], h)
        with torch.autocast("cpu", dtype=torch.float16):
            return self.head(h).squeeze(1)


views, campaign = page_views(2016)
inputs = torch.stack([(views.clamp(min=1).log() - 8.0) / 2, campaign], 1)
model = Views()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)

losses, step = [], 0
while step < 240:
    ends = torch.randint(24, 2015, (32,))
    past = torch.stack([torch.cat([inputs[e - 24 : e, :1], campaign[e - 23 : e + 1, None]], 1) for e in ends])
    log_rate = model(past)
    rate = log_rate.exp().float()  # fix: rate = log_rate.float().exp()
    count = views[ends]
    loss = ((rate - count * log_rate.float()) / 3000 - (count - count * count.clamp(min=1).log()) / 3000).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    losses.append(loss.item())
    if step % 30 == 0:
        print(step, losses[-1])
    step += 1
print("final loss", sum(losses[-20:]) / 20)
