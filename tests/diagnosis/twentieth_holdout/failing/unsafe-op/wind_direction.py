"""Forecasts the wind direction from past wind vectors with an LSTM cell loop and an angular loss.

Cause: unsafe-op
Fails: the mean angle falls at first, then the loss is NaN
"""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(28)
STATIONS, LEN = 50, 400
turn = 0.15 * torch.randn(STATIONS, 1) + 0.1 * torch.sin(torch.arange(LEN) / 12.0 + 6 * torch.rand(STATIONS, 1))
angle = 6.28 * torch.rand(STATIONS, 1) + (turn + 0.03 * torch.randn(STATIONS, LEN)).cumsum(1)
vec = torch.stack([angle.cos(), angle.sin()], -1)


class WindNet(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.cell = nn.LSTMCell(2, h)
        self.out = nn.Linear(h + 2, 2)

    def forward(self, x):
        b = x.size(0)
        h, c = x.new_zeros(b, 32), x.new_zeros(b, 32)
        for k in range(x.size(1)):
            h, c = self.cell(x[:, k], (h, c))
        return F.normalize(self.out(torch.cat([h, x[:, -1]], 1)), dim=1)


def angular(pred, true):
    cos = (pred * true).sum(1)
    return torch.acos(cos).mean()  # fix: return torch.acos(cos.clamp(-0.99999, 0.99999)).mean()


def draw(n, lo, hi):
    s = torch.randint(0, STATIONS, (n,))
    at = torch.randint(lo, hi - 21, (n,))
    w = torch.stack([vec[i, j:j + 21] for i, j in zip(s, at)])
    return w[:, :-1], w[:, -1]


net = WindNet()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for it in range(450):
    x, y = draw(32, 0, 320)
    loss = angular(net(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    if it % 45 == 0:
        print(it, round(loss.item(), 4))
with torch.no_grad():
    x, y = draw(500, 320, LEN)
    print("final loss", angular(net(x), y).item())
