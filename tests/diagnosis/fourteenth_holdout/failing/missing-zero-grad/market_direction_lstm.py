"""An LSTM predicts the next return of a market with momentum, rolling over the years with a carried state (TBPTT).

Cause: missing-zero-grad
Fails: 10 times its start at step 16, grows without end, NaN from step 170 on
"""

import torch
from torch import nn


def market(days, lanes=16):
    r = torch.zeros(days, lanes)
    volatility = torch.ones(lanes)
    for d in range(2, days):
        shock = torch.randn(lanes)
        volatility = (0.1 + 0.75 * volatility**2 + 0.12 * (volatility * shock).square()).sqrt()
        r[d] = 0.75 * r[d - 1] - 0.3 * r[d - 2] + 0.5 * volatility * shock
    return r / r.std()


def rolling(returns, chunk):
    for at in range(0, len(returns) - chunk - 1, chunk):
        yield returns[at : at + chunk, :, None], returns[at + 1 : at + chunk + 1]


torch.manual_seed(19)
returns = market(1000)
rnn, head = nn.LSTM(1, 32), nn.Linear(32, 1)
weights = list(rnn.parameters()) + list(head.parameters())
optimizer = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
losses = []
for year in range(8):
    state = None
    for x, y in rolling(returns, 25):
        hidden, state = rnn(x, state)
        state = tuple(s.detach() for s in state)
        loss = nn.functional.mse_loss(head(hidden).squeeze(-1), y)
        # fix: optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(year, sum(losses[-39:]) / 39)
print("final loss", sum(losses[-39:]) / 39)
