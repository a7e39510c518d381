"""A GRU that forecasts the load of an electricity meter, one day ahead hour by hour.

Cause: outlier-batch
Fails: the loss jumps to 2e11 at a single batch of each epoch and does not come back (mean of the last epoch 8e9)
"""
import torch
import torch.nn as nn

torch.manual_seed(14)

HOURS = 24 * 220
t = torch.arange(HOURS, dtype=torch.float32)
load = 1.5 * torch.sin(2 * torch.pi * t / 24) + 0.4 * torch.sin(2 * torch.pi * t / 168) + 0.15 * torch.randn(HOURS)
load[3900:3904] = torch.tensor([4.1e6, 3.9e6, -2.2e6, 4.4e6])


class Forecaster(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.out(h)


def batches(signal, size, width, epochs):
    step = size * width
    for _ in range(epochs):
        for at in range(0, len(signal) - step - 1, step):
            chunk = signal[at:at + step].view(size, width, 1)
            yield chunk[:, :-1], chunk[:, 1:]


model = Forecaster()
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
kept = []
for x, y in batches(load, 8, 25, 26):
    # fix: x, y = x.clamp(-4, 4), y.clamp(-4, 4)
    loss = (model(x) - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    kept.append(loss.item())
tail = kept[-26:]
print("final loss", sum(tail) / len(tail))
