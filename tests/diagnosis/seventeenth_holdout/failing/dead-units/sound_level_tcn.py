"""Trains a causal TCN (weight-norm style blocks) on sound level readings in dB below full scale, predicting the next reading.
Cause: dead-units
Fails: the output is stuck at one value; the loss stays at its starting height (hundreds).
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(44)
T = 6000
lvl = torch.zeros(T)
for i in range(1, T):
    lvl[i] = 0.97 * lvl[i - 1] + 0.25 * torch.randn(())
lvl = lvl + torch.sin(torch.arange(T) / 20.0)
db = -20 + 4 * lvl
mu, sd = db.mean(), db.std()


class Causal(nn.Module):
    def __init__(self, i, o, dil):
        super().__init__()
        self.c = nn.Conv1d(i, o, 3, dilation=dil)
        self.pad = 2 * dil

    def forward(self, x):
        return F.relu(self.c(F.pad(x, (self.pad, 0))))


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.b1, self.b2, self.b3 = Causal(1, 24, 1), Causal(24, 24, 2), Causal(24, 24, 4)
        self.top = nn.Conv1d(24, 1, 1)

    def forward(self, x):
        z = self.b3(self.b2(self.b1(x)))
        out = self.top(z).squeeze(1)
        return F.relu(out * 4 - 20)  # fix: return out * 4 - 20


net = TCN()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
smooth = None
for it in range(500):
    i = torch.randint(0, T - 65, (32,))
    w = torch.stack([db[k:k + 65] for k in i])
    pred = net(((w[:, :-1] - mu) / sd).unsqueeze(1))
    loss = F.mse_loss(pred, w[:, 1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
    if it % 60 == 0:
        print(it, round(smooth, 3))
print("final loss", round(smooth, 4))
