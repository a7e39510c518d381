"""Linear trend plus AR residual of sea level fitted by LBFGS from the least-squares answer; converged at once, then a flat loss."""
import numpy as np
import torch

torch.manual_seed(1)
g = np.random.default_rng(1)
n = 1500
t = np.linspace(-1, 1, n)
ar = np.zeros(n)
for i in range(1, n):
    ar[i] = 0.8 * ar[i - 1] + 0.2 * g.standard_normal()
level = torch.tensor(0.4 * t + 0.3 * np.sin(9 * t) + ar, dtype=torch.float64)
X = torch.tensor(np.stack([np.ones(n), t, np.sin(9 * t), np.cos(9 * t)], 1))
beta = torch.linalg.lstsq(X, level[:, None]).solution[:, 0].clone().requires_grad_()
phi = torch.zeros(2, dtype=torch.float64, requires_grad=True)
log_s = torch.zeros(1, dtype=torch.float64, requires_grad=True)


def nll():
    r = level - X @ beta
    e = r[2:] - torch.tanh(phi[0]) * r[1:-1] - 0.5 * torch.tanh(phi[1]) * r[:-2]
    return (log_s + 0.5 * (e / log_s.exp()) ** 2).mean()


opt = torch.optim.LBFGS([beta, phi, log_s], lr=0.5, max_iter=4, history_size=8)


def closure():
    opt.zero_grad()
    l = nll()
    l.backward()
    return l


for k in range(400):
    loss = opt.step(closure)
    if k % 50 == 0:
        print(k, float(loss))
print("final loss", float(nll()))
