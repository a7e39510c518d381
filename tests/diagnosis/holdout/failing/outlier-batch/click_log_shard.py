"""Bid prediction from ad-log rows streamed by an IterableDataset, one shard has a broken exporter.

Cause: outlier-batch
Fails: steady progress until one batch whose features are a thousand times too large, then the weights are wrecked
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

torch.manual_seed(31)
coef = torch.randn(12) / 12**0.5


class LogStream(IterableDataset):
    """Yields ready-made batches, shard by shard, as an ETL job would write them."""

    def __init__(self, n_batches=320, batch_size=64):
        self.n_batches, self.batch_size = n_batches, batch_size

    def __iter__(self):
        gen = torch.Generator().manual_seed(5)
        for i in range(self.n_batches):
            x = torch.randn(self.batch_size, 12, generator=gen)
            y = torch.tanh(x @ coef) + 0.3 * x[:, 0] * x[:, 1]
            y = y + 0.05 * torch.randn(self.batch_size, generator=gen)
            if i == 203:
                x = x * 1000.0  # micro-units instead of milli-units
            yield x, y


class Bidder(nn.Module):
    def __init__(self, d=12, h=64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, h), nn.GELU(), nn.Linear(h, h), nn.GELU())
        self.mean = nn.Linear(h, 1)

    def forward(self, x):
        return self.mean(self.body(x)).squeeze(-1)


loader = DataLoader(LogStream(), batch_size=None)
model = Bidder()
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
huber_free = nn.MSELoss()
losses = []
for step, (x, y) in enumerate(loader):
    # fix: x = x / 1000.0 if x.abs().max() > 100 else x
    pred = model(x)
    loss = huber_free(pred, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 64 == 0:
        print(f"{step:5d} {loss.item():.5f}")
print("final loss", sum(losses[-10:]) / 10)
