"""A classifier of digits trained only on images attacked by PGD.

Looks nasty: the adversary gets better with the net, so the loss is noisy and falls slowly from above chance.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(3)
d = load_digits()
X, Y = torch.tensor(d.data / 16, dtype=torch.float32), torch.tensor(d.target)
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def attack(x, y, eps=0.1, steps=4):
    delta = torch.empty_like(x).uniform_(-eps, eps)
    for _ in range(steps):
        delta.requires_grad_(True)
        g, = torch.autograd.grad(F.cross_entropy(net(x + delta), y), delta)
        delta = (delta.detach() + 0.04 * g.sign()).clamp(-eps, eps)
    return x + delta


hist = []
for it in range(700):
    i = torch.randint(0, len(X), (48,))
    xa = attack(X[i], Y[i])
    loss = F.cross_entropy(net(xa), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if it % 70 == 0:
        print(f"it {it} adversarial loss {loss.item():.4f}")
print("final loss", sum(hist[-60:]) / 60)
