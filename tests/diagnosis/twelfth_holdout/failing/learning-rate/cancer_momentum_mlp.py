"""Malignant / benign, two hidden layers, hinge-like squared loss on +-1 targets.

Cause: learning-rate
Fails: final test loss nan (with the fix 0.1042)
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_breast_cancer

torch.manual_seed(9)
raw = load_breast_cancer()
X = torch.tensor(raw.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
Y = torch.tensor(raw.target, dtype=torch.float32) * 2 - 1
o = torch.randperm(len(X))
X, Y = X[o], Y[o]
HYP = {"lr": 0.05, "mu": 0.9995, "bs": 32, "epochs": 28}  # fix: HYP = {"lr": 0.05, "mu": 0.9, "bs": 32, "epochs": 28}


class MLP(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.l1, self.l2, self.l3 = nn.Linear(n, 32), nn.Linear(32, 16), nn.Linear(16, 1)

    def forward(self, x):
        x = nn.functional.leaky_relu(self.l1(x))
        x = nn.functional.leaky_relu(self.l2(x))
        return self.l3(x).squeeze(1)


def sq_loss(z, y):
    return (z - y).pow(2).mean()


def evaluate(net, x, y):
    with torch.no_grad():
        z = net(x)
    return sq_loss(z, y).item(), (z.sign() == y).float().mean().item()


m = MLP(X.shape[1])
opt = torch.optim.SGD(m.parameters(), lr=HYP["lr"], momentum=HYP["mu"])
ntr = 450
for ep in range(HYP["epochs"]):
    idx = torch.randperm(ntr)
    tot = 0.0
    for j in idx.split(HYP["bs"]):
        z = m(X[j])
        loss = sq_loss(z, Y[j])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(j)
    if ep % 4 == 0:
        print("epoch", ep, "loss", tot / ntr)

res, acc = evaluate(m, X[ntr:], Y[ntr:])
tr_res, tr_acc = evaluate(m, X[:ntr], Y[:ntr])
print("train loss", tr_res, "train accuracy", tr_acc)
print("accuracy", acc)
print("final test loss %.4f" % res)
