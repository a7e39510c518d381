"""Sparse parity (3 of 24 bits) with an MLP and plain mini-batch SGD: a flat plateau at ln 2, then a drop and a long slow tail."""
import argparse
import torch
from torch import nn

ap = argparse.ArgumentParser()
ap.add_argument("--n", type=int, default=24); ap.add_argument("--k", type=int, default=3)
ap.add_argument("--hidden", type=int, default=200); ap.add_argument("--lr", type=float, default=.1)
ap.add_argument("--iters", type=int, default=40000); ap.add_argument("--bs", type=int, default=32)
a = ap.parse_args()
torch.manual_seed(4)
secret = torch.randperm(a.n)[: a.k]
net = nn.Sequential(nn.Linear(a.n, a.hidden), nn.ReLU(), nn.Linear(a.hidden, 1))
opt = torch.optim.SGD(net.parameters(), lr=a.lr, weight_decay=1e-5)
crit = nn.BCEWithLogitsLoss()
acc_loss, last = 0., []
for i in range(1, a.iters + 1):
    x = torch.randint(0, 2, (a.bs, a.n)).float() * 2 - 1
    y = (x[:, secret].prod(1) > 0).float()
    loss = crit(net(x).squeeze(1), y)
    opt.zero_grad(); loss.backward(); opt.step()
    acc_loss += loss.item()
    if i > a.iters - 500: last.append(loss.item())
    if i % 2000 == 0:
        print(f"{i}: {acc_loss / 2000:.5f}"); acc_loss = 0.
print("final loss %.3e" % (sum(last) / len(last)))
