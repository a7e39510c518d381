"""Adversarial training on digits with an attack radius that grows; the training loss rises because the opponent gets stronger."""
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.func import functional_call, grad

torch.set_num_threads(1)
torch.manual_seed(40)
d = load_digits()
X = torch.tensor(d.data / 16, dtype=torch.float32)
Y = torch.tensor(d.target)
p = torch.randperm(len(X))
Xtr, Ytr, Xte, Yte = X[p[:1400]], Y[p[:1400]], X[p[1400:]], Y[p[1400:]]

net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))


def attack(x, y, eps, n=3):
    w = {k: v.detach() for k, v in net.named_parameters()}
    g = grad(lambda z: F.cross_entropy(functional_call(net, w, (z,)), y))
    a = x + (torch.rand_like(x) * 2 - 1) * eps
    for _ in range(n):
        a = a + eps / 2 * g(a).sign()
        a = torch.minimum(torch.maximum(a, x - eps), x + eps).clamp(0, 1)
    return a.detach()


opt = torch.optim.Adam(net.parameters(), lr=2e-3)


def robust(eps=0.1):
    return F.cross_entropy(net(attack(Xte, Yte, eps, 5)), Yte).item()


print("robust loss before", robust())
for k in range(700):
    eps = 0.15 * min(1, k / 500)
    i = torch.randint(0, len(Xtr), (64,))
    loss = F.cross_entropy(net(attack(Xtr[i], Ytr[i], eps)), Ytr[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if k % 70 == 0:
        print(f"{k:4d} eps {eps:.3f} adversarial train loss {loss.item():.4f} robust test loss {robust():.4f}")
print("final loss", robust())
