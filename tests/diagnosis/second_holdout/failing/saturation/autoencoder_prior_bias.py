"""Reconstructs sparse binary event grids with an autoencoder, sigmoid output and squared error.

Cause: saturation
Fails: the output bias is set to the logit of a rate in events per million, the sigmoid sits at 0 and passes no gradient
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(14)
ROWS = COLS = 12


def events(n):
    """Each grid lights up one row and one column."""
    g = torch.zeros(n, ROWS, COLS)
    i = torch.arange(n)
    g[i, torch.randint(ROWS, (n,))] = 1.0
    g[i, :, torch.randint(COLS, (n,))] = 1.0
    return g.flatten(1)


class AE(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(ROWS * COLS, 96), nn.ReLU(), nn.Linear(96, 24), nn.ReLU())
        self.dec = nn.Sequential(nn.Linear(24, 96), nn.ReLU(), nn.Linear(96, ROWS * COLS))
        self.dec[-1].bias.data.fill_(math.log(rate / (1 - rate)))

    def forward(self, x):
        return torch.sigmoid(self.dec(self.enc(x)))


ae = AE(rate=1.6e-7 * 1e-6)  # fix: ae = AE(rate=0.16)
opt = torch.optim.RMSprop(ae.parameters(), lr=1e-3)
for it in range(700):
    x = events(64)
    loss = nn.functional.mse_loss(ae(x), x)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if it % 100 == 0:
        print("iter", it, "mse", loss.item())
print("final loss", loss.item())
