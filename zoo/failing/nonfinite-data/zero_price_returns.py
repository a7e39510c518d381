"""Direction of tomorrow's move from log returns, causal transformer encoder, AdamW with gradient clipping.

Cause: nonfinite-data
Fails: the loss is not finite from step 13 on
First bad: step 13, data
"""

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(4)
STOCKS, DAYS, WINDOW = 12, 320, 16

shock = np.zeros((STOCKS, DAYS))
for t in range(1, DAYS):
    shock[:, t] = 0.85 * shock[:, t - 1] + rng.normal(0, 0.01, STOCKS)
prices = 50 * np.exp(np.cumsum(shock, 1))
prices[7, 140] = 0.0  # fix: prices[7, 140] = prices[7, 139]
with np.errstate(divide="ignore"):
    returns = np.diff(np.log(prices), axis=1)
returns = torch.tensor(returns / 0.02, dtype=torch.float32)


class Block(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.lift = nn.Linear(1, width)
        self.position = nn.Parameter(0.1 * torch.randn(WINDOW, width))
        layer = nn.TransformerEncoderLayer(width, 2, 48, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        h = self.encoder(self.lift(x.unsqueeze(-1)) + self.position)
        return self.head(h[:, -1]).squeeze(-1)


torch.manual_seed(4)
model = Block()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
losses = []
for step in range(200):
    stock = torch.randint(0, STOCKS, (24,))
    begin = torch.randint(0, DAYS - WINDOW - 2, (24,))
    x = torch.stack([returns[s, b : b + WINDOW] for s, b in zip(stock.tolist(), begin.tolist())])
    up = (returns[stock, begin + WINDOW] > 0).float()
    loss = nn.functional.binary_cross_entropy_with_logits(model(x), up)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
