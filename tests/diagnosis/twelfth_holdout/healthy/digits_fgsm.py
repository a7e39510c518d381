"""Digits classifier: clean epochs first, then training on perturbed copies (FGSM) of growing strength."""
import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(30)
d = load_digits()
X = torch.tensor(d.images / 16.0, dtype=torch.float32).unsqueeze(1)
Y = torch.tensor(d.target)
p = torch.randperm(len(X))
Xtr, Ytr, Xte, Yte = X[p[:1400]], Y[p[:1400]], X[p[1400:]], Y[p[1400:]]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.gn = nn.GroupNorm(4, 32)
        self.fc = nn.Linear(32 * 4, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.c1(x)), 2)
        x = nn.functional.max_pool2d(torch.relu(self.gn(self.c2(x))), 2)
        return self.fc(x.flatten(1))


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
ce = nn.CrossEntropyLoss()


def attack(x, y, eps):
    if eps == 0:
        return x
    x = x.clone().requires_grad_()
    g, = torch.autograd.grad(ce(net(x), y), x)
    return (x + eps * g.sign()).detach().clamp(0, 1)


def accuracy(x, y, eps=0.0):
    xa = attack(x, y, eps)
    with torch.no_grad():
        return (net(xa).argmax(1) == y).float().mean().item()


EPS = [0, 0, 0, 0.05, 0.05, 0.1, 0.1, 0.15, 0.15, 0.15, 0.15, 0.15]
for epoch, eps in enumerate(EPS):
    losses = []
    for j in torch.randperm(len(Xtr)).split(50):
        xb = attack(Xtr[j], Ytr[j], eps)
        loss = ce(net(xb), Ytr[j])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(f"epoch {epoch} eps {eps} loss {np.mean(losses):.4f} clean acc {accuracy(Xte, Yte):.3f}")
print("robust accuracy at 0.1:", round(accuracy(Xte, Yte, 0.1), 4))
print("final clean accuracy:", round(accuracy(Xte, Yte), 4))
