"""Yearly turnover of shops (EUR) from descriptive features.

Cause: loss-scale
Fails: targets around 400000 are regressed raw; the squared error and its gradient are
gigantic and the run is nan after few steps.
"""
import numpy as np
import torch
from torch import nn

np.random.seed(81)
torch.manual_seed(81)
feat = np.random.randn(3500, 9).astype(np.float32)
turn = 4e5 + 1.2e5 * np.tanh(feat[:, 0] + feat[:, 1] * feat[:, 2]) + 6e4 * feat[:, 3] + 2e4 * np.abs(feat[:, 4])
turn = turn.astype(np.float32)
m, s = turn.mean(), turn.std()
train_x = torch.tensor(feat)
train_y = torch.tensor(turn)  # fix: train_y = torch.tensor((turn - m) / s)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(9, 80)
        self.b = nn.Linear(80, 80)
        self.c = nn.Linear(80, 1)

    def forward(self, x):
        return self.c(torch.relu(self.b(torch.relu(self.a(x))))).squeeze(1)


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
for ep in range(45):
    ls = []
    for b in torch.randperm(3500).split(50):
        loss = nn.functional.mse_loss(net(train_x[b]), train_y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        ls.append(loss.item())
    if ep % 4 == 0:
        print("epoch", ep, "loss", np.mean(ls))
print("final loss", float(np.mean(ls)))
