"""Detection of a 1% class with pos_weight=60 and an EMA of the weights.

Looks nasty: batches with several positives have a loss ten times that of those with none.
"""
import copy
import torch
import torch.nn as nn

torch.manual_seed(44)


def traffic(n=64):
    x = torch.randn(n, 16)
    y = (torch.rand(n) < 0.01).float()
    x[:, :4] += y[:, None] * torch.tensor([2.5, -2.5, 2.0, 2.0])
    return x, y


net = nn.Sequential(nn.Linear(16, 48), nn.ELU(), nn.Linear(48, 1))
ema = copy.deepcopy(net)
crit = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(60.0))
opt = torch.optim.Adagrad(net.parameters(), lr=0.03)
xv, yv = traffic(6000)
for it in range(2500):
    x, y = traffic()
    loss = crit(net(x)[:, 0], y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for a, b in zip(ema.parameters(), net.parameters()):
            a.mul_(0.99).add_(b, alpha=0.01)
    if it % 250 == 0:
        with torch.no_grad():
            print(f"it {it} val loss {crit(ema(xv)[:, 0], yv).item():.4f}  batch loss {loss.item():.4f} positives {int(y.sum())}")
with torch.no_grad():
    print("final loss", crit(ema(xv)[:, 0], yv).item())
