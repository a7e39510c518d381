"""Forecasts next month's revenue of shops (in euros) from the last two years with an LSTM.

Cause: loss-scale
Fails: the loss explodes to 1e30 and more, and never comes near a useful value
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(30)
np.random.seed(30)


class Shops(Dataset):
    def __init__(self, n, months=25):
        base = np.random.lognormal(11.5, 0.5, (n, 1))
        growth = np.random.normal(0.004, 0.004, (n, 1))
        m = np.arange(months)
        phase = np.random.randint(0, 12, (n, 1))
        self.euros = base * np.exp(growth * m) * (1 + 0.25 * np.cos(2 * np.pi * (m + phase) / 12)) * np.random.lognormal(0, 0.05, (n, months))
        self.unit = 1.0  # fix: self.unit = 100000.0
        lg = np.log(self.euros[:, :-1]) - 11.5
        self.x = torch.tensor(np.stack([lg, np.cos(2 * np.pi * (m[:-1] + phase) / 12)], -1), dtype=torch.float32)
        self.y = torch.tensor(self.euros[:, -1:] / self.unit, dtype=torch.float32)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 48, batch_first=True)
        self.head = nn.Sequential(nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.head(out[:, -1])


train, valid = Shops(3000), Shops(400)
net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=4, gamma=0.5)
mse = nn.MSELoss()
for epoch in range(6):
    for x, y in DataLoader(train, batch_size=40, shuffle=True):
        opt.zero_grad()
        loss = mse(net(x), y)
        loss.backward()
        opt.step()
    sched.step()
    print(epoch, loss.item())
with torch.no_grad():
    print("final loss", mse(net(valid.x), valid.y).item())
