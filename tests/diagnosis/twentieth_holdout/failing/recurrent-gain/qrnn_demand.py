"""Quantile forecasts of shop demand with a quasi-recurrent network (convolution + gated pooling).

Cause: recurrent-gain
Fails: the pinball loss starts many orders of magnitude too high and stays useless
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
rs = np.random.RandomState(21)
N_STORE, DAYS, CTX = 40, 700, 72
dow = np.array([0.8, 0.85, 0.9, 1.0, 1.3, 1.5, 1.1])
level = rs.uniform(0.5, 2.0, (N_STORE, 1))
season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(DAYS) / 365 + rs.uniform(0, 6, (N_STORE, 1)))
promo = (rs.rand(N_STORE, DAYS) < 0.05).astype(float)
sales = level * season * dow[np.arange(DAYS) % 7] * (1 + 0.6 * promo) * np.exp(0.1 * rs.randn(N_STORE, DAYS))
sales = np.log(sales)
cube = torch.tensor(np.stack([sales, promo, np.broadcast_to(dow[np.arange(DAYS) % 7] - 1, sales.shape)], -1), dtype=torch.float32)
QS = torch.tensor([0.1, 0.5, 0.9])


class QRNN(nn.Module):
    def __init__(self, cin, ch):
        super().__init__()
        self.conv = nn.Conv1d(cin, 3 * ch, kernel_size=3)

    def forward(self, x):
        z, f, o = self.conv(F.pad(x, (2, 0))).chunk(3, 1)
        z, o = torch.tanh(z), torch.sigmoid(o)
        f = F.softplus(f + 1.0)  # fix: f = torch.sigmoid(f + 1.0)
        c = torch.zeros_like(z[..., 0])
        hs = []
        for t in range(z.shape[-1]):
            c = f[..., t] * c + (1 - f[..., t]) * z[..., t]
            hs.append(o[..., t] * c)
        return torch.stack(hs, -1)


net = nn.Sequential(nn.Conv1d(3, 32, 1), QRNN(32, 32), nn.Conv1d(32, 3, 1))


def pinball(pred, y):
    e = y.unsqueeze(1) - pred
    q = QS.view(1, 3, 1)
    return torch.maximum(q * e, (q - 1) * e).mean()


def sample(lo, hi, n):
    s = rs.randint(0, N_STORE, n)
    d = rs.randint(lo, hi - CTX - 1, n)
    w = torch.stack([cube[a, b:b + CTX + 1] for a, b in zip(s, d)])
    return w[:, :-1].transpose(1, 2), w[:, 1:, 0]


opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
for step in range(200):
    x, y = sample(0, 520, 24)
    loss = pinball(net(x), y)
    for p in net.parameters():
        p.grad = None
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print("step", step, "pinball", loss.item())
with torch.no_grad():
    x, y = sample(520, DAYS, 200)
    print("final loss", pinball(net(x), y).item())
