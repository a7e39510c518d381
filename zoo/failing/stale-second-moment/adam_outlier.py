"""LSTM sentiment-like scores under Adam: quiet for long, then a corrupted batch of targets poisons the moments.

Cause: stale-second-moment, outlier-batch
Fails: the loss jumps from 3e-4 to 1e15 at step 250 and stays near 90 after the bad batches
"""

import torch
from torch import nn


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 24)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, ids):
        states, _ = self.lstm(self.embed(ids))
        return self.out(states.mean(1)).squeeze(1)


torch.manual_seed(0)
model = Scorer()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.999))
value = torch.randn(100)
losses = []
for step in range(350):
    ids = torch.randint(0, 100, (32, 12))
    score = value[ids].mean(1)
    if 250 <= step < 253:
        score = score * 1e8  # fix: score = score * 1.0
    loss = nn.functional.mse_loss(model(ids), score)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
