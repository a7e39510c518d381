"""A GRU forecasts the volatility of a share from its log returns.

Cause: nonfinite-data
Fails: good for 154 steps, then NaN
"""

import numpy as np
import torch
from torch import nn


def closing_prices(days, rng):
    volatility, log_price, prices = 0.01, 4.0, []
    for _ in range(days):
        volatility = np.exp(0.95 * np.log(volatility) + 0.05 * np.log(0.01) + 0.2 * rng.normal())
        log_price += volatility * rng.normal()
        prices.append(np.exp(log_price))
    prices = np.array(prices)
    prices[1903] = 0.0  # fix: prices[1903] = prices[1902]
    return prices


class Volatility(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.out = nn.Linear(24, 2)

    def forward(self, x):
        return self.out(self.gru(x)[0])


def nll(output, target):
    mean, log_sigma = output.unbind(-1)
    return (log_sigma + 0.5 * ((target - mean) / log_sigma.exp()).square()).mean()


rng = np.random.default_rng(64)
torch.manual_seed(64)
with np.errstate(divide="ignore", invalid="ignore"):
    returns = np.diff(np.log(closing_prices(2400, rng)))
returns = torch.tensor(returns * 60, dtype=torch.float32)
model = Volatility()
optimizer = torch.optim.Adamax(model.parameters(), lr=5e-3)
losses = []
for epoch in range(2):
    for at in range(0, 2400 - 62, 12):
        piece = returns[at : at + 61]
        loss = nll(model(piece[None, :-1, None]), piece[None, 1:])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    print(epoch, losses[0], losses[-1])
print("final loss", float(np.mean(losses[-100:])))
