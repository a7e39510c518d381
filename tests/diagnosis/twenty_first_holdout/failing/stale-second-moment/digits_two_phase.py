"""Trains a deep autoencoder on scikit-learn digits whose classification term is switched on after a phase of reconstruction only.

Cause: stale-second-moment
Fails: the loss leaps right after the switch and stays far above where it was
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(50)
torch.set_num_threads(1)
d = load_digits()
X = torch.tensor(d.data, dtype=torch.float32) / 16
Y = torch.tensor(d.target)
Xt, Yt, Xv, Yv = X[:1400], Y[:1400], X[1400:], Y[1400:]


class Net(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, h), nn.GELU(), *[m for _ in range(6) for m in (nn.Linear(h, h), nn.GELU())], nn.Linear(h, 32))
        self.dec = nn.Sequential(nn.Linear(32, h), nn.GELU(), nn.Linear(h, 64))
        self.cls = nn.Linear(32, 10)

    def forward(self, x):
        z = self.enc(x)
        return self.dec(z), self.cls(z)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=6e-3, betas=(0.0, 0.9999))  # fix: opt = torch.optim.Adam(net.parameters(), lr=6e-3, betas=(0.0, 0.95))
g = torch.Generator().manual_seed(7)


def objective(x, y, w):
    r, c = net(x)
    return F.mse_loss(r, x) + w * F.cross_entropy(c, y)


for step in range(900):
    i = torch.randint(0, 1400, (32,), generator=g)
    w = 0.0 if step < 600 else 1.0
    loss = objective(Xt[i], Yt[i], w)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", objective(Xv, Yv, 1.0).item())
