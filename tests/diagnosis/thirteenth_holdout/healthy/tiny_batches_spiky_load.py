"""Feeder load with occasional switching spikes, batch of four, LSTM and Huber loss, EMA weights."""
import copy
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(27)
torch.manual_seed(27)
n = 3000
t = np.arange(n)
base = np.sin(2 * np.pi * t / 24) + 0.3 * np.sin(2 * np.pi * t / 168) + 0.1 * rng.normal(size=n)
spikes = (rng.random(n) < 0.01) * rng.choice([-12.0, 15.0], n)
x = torch.tensor(base + spikes, dtype=torch.float32)
W = 30


class Feeder(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(1, 24, batch_first=True)
        self.o = nn.Linear(24, 1)

    def forward(self, s):
        return self.o(self.r(s.unsqueeze(-1).clamp(-4, 4))[0][:, -1])[:, 0]


net = Feeder()
avg = copy.deepcopy(net)
opt = torch.optim.Adam(net.parameters(), lr=4e-3)


def validate(m):
    i = torch.arange(2500, n - W - 1)
    with torch.no_grad():
        return nn.functional.huber_loss(m(x[i[:, None] + torch.arange(W)]), x[i + W]).item()


print("valid at start", validate(net))
for step in range(900):
    i = torch.randint(0, 2400, (4,))
    loss = nn.functional.huber_loss(net(x[i[:, None] + torch.arange(W)]), x[i + W])
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for a, b in zip(avg.parameters(), net.parameters()):
            a.lerp_(b, 0.02)
    if step % 100 == 0:
        print(step, "batch loss", round(loss.item(), 3), "valid", round(validate(avg), 4))
print("final loss", validate(avg))
