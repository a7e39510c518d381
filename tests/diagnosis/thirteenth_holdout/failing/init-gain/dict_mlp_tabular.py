"""Tabular regression with a deep MLP whose weights live in a dict of tensors.

Cause: init-gain
Fails: final loss 4.035e+10 (with the fix 0.01346)
"""
import torch

gen = torch.Generator().manual_seed(99)


def rn(*shape):
    return torch.randn(*shape, generator=gen)


# --- data -------------------------------------------------------------
N, D = 2000, 12
X = rn(N, D)
y = torch.sin(X[:, 0]) + 0.5 * X[:, 1] * X[:, 2] - 0.3 * X[:, 3].abs() + 0.05 * rn(N)
y = (y - y.mean()) / y.std()

# --- parameters ---------------------------------------------------------
sizes = [D] + [96] * 7 + [1]
P = {}
for k, (i, o) in enumerate(zip(sizes[:-1], sizes[1:])):
    P[f"W{k}"] = rn(i, o)  # fix: P[f"W{k}"] = rn(i, o) * (2.0 / i) ** 0.5
    P[f"b{k}"] = torch.zeros(o)
for p in P.values():
    p.requires_grad_(True)
L = len(sizes) - 1


def net(P, x):
    for k in range(L):
        x = x @ P[f"W{k}"] + P[f"b{k}"]
        if k < L - 1:
            x = torch.relu(x)
    return x[:, 0]


opt = torch.optim.Adam(P.values(), lr=1e-3)
for step in range(500):
    j = torch.randint(0, N, (64,), generator=gen)
    loss = ((net(P, X[j]) - y[j]) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print(step, loss.item())

with torch.no_grad():
    print("final loss", ((net(P, X) - y) ** 2).mean().item())
