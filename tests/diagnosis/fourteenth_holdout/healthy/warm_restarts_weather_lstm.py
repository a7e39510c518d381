"""An LSTM forecasts temperature under cosine warm restarts: at every restart the rate jumps up by two orders of magnitude
and the loss with it, for a few steps."""

import math

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts


def temperatures(days):
    noise = torch.zeros(days)
    for d in range(1, days):
        noise[d] = 0.8 * noise[d - 1] + 0.4 * torch.randn(())
    return 1.2 * torch.sin(2 * math.pi * torch.arange(float(days)) / 60) + 0.5 * noise


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, 2, batch_first=True, dropout=0.1)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        return self.out(self.lstm(x)[0]).squeeze(-1)


torch.manual_seed(93)
series = temperatures(2000)
train, held = series[:1600], series[1600:]
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.8, momentum=0.9)
scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=40, T_mult=2, eta_min=0.004)
losses = []
for step in range(280):
    model.train()
    window = torch.stack([train[s : s + 33] for s in torch.randint(0, 1560, (16,)).tolist()])
    loss = (model(window[:, :-1, None]) - window[:, 1:]).square().mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
    if step % 40 == 39:
        model.eval()
        with torch.no_grad():
            valid = (model(held[None, :-1, None]) - held[None, 1:]).square().mean().item()
        print(step, losses[-1], "held out", valid)
print("final loss", sum(losses[-20:]) / 20)
