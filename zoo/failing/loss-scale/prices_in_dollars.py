"""Price of a used car from standardised columns; the price is in dollars.

Cause: loss-scale
Fails: the loss starts at 3e8 and is not finite from step 2 on
First bad: step 2, loss, mse_loss
"""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split


def cars(n):
    age = torch.randint(0, 15, (n, 1)).float()
    km = 15_000 * age + 20_000 * torch.rand(n, 1)
    power = 60 + 120 * torch.rand(n, 1)
    price = 4_000 + 220 * power * torch.exp(-age / 8) - 0.02 * km + 800 * torch.randn(n, 1)
    x = torch.cat([age, km, power], 1)
    x = (x - x.mean(0)) / x.std(0)
    # fix: price = (price - price.mean()) / price.std()
    return TensorDataset(x, price)


def run_epoch(net, loader, criterion, optimizer):
    out = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        out.append(loss.item())
    return out


torch.manual_seed(9)
training, held_out = random_split(cars(1400), [1200, 200])
net = nn.Sequential(nn.Linear(3, 64), nn.GELU(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 1))
optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.8)
loader = DataLoader(training, batch_size=40, shuffle=True)
losses = []
for epoch in range(6):
    losses += run_epoch(net, loader, nn.MSELoss(), optimizer)
print("final loss", sum(losses[-10:]) / 10)
