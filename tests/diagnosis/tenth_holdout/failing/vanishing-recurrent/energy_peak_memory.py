"""Charges for the day's peak: leaky recurrent net must report a demand flag seen early in a 50 step metering window.

Cause: vanishing-recurrent
Fails: the loss stays at that of a constant guess (1.02, a constant gives 1.0)
"""
import torch
from torch import nn

torch.manual_seed(44)
STEPS, BATCH = 50, 64


def meter_windows(n):
    load = torch.rand(n, STEPS)
    flag = torch.zeros(n, STEPS)
    k = torch.randint(0, 6, (n,))
    flag[torch.arange(n), k] = 1.0
    return torch.stack([load, flag], -1), load[torch.arange(n), k]


class LeakyRNN(nn.Module):
    def __init__(self, hid=64, forget_bias=0.0):
        super().__init__()
        self.gate = nn.Linear(2 + hid, hid)
        self.cand = nn.Linear(2 + hid, hid)
        self.out = nn.Linear(hid, 1)
        nn.init.constant_(self.gate.bias, forget_bias)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.out.in_features)
        for t in range(x.shape[1]):
            z = torch.cat([x[:, t], h], 1)
            keep = torch.sigmoid(self.gate(z))
            h = keep * h + (1 - keep) * torch.tanh(self.cand(z))
        return self.out(h).squeeze(1)


net = LeakyRNN(forget_bias=-1.0)  # fix: net = LeakyRNN(forget_bias=4.0)
optimizer = torch.optim.RMSprop(net.parameters(), lr=3e-3)
hist = []
for i in range(450):
    x, y = meter_windows(BATCH)
    loss = nn.functional.mse_loss(net(x), y) * 12
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    hist.append(loss.item())
    if i % 50 == 0:
        print(i, hist[-1])
print("final loss", sum(hist[-30:]) / 30)
