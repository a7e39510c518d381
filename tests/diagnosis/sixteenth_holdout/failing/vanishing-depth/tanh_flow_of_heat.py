"""Surrogate for a heat-exchanger: 8 operating values -> outlet temperature (scaled).

Cause: vanishing-depth
Fails: predicts the mean only, mse remains at the variance of the target.
"""
import numpy as np
import torch

torch.manual_seed(4)
rs = np.random.default_rng(4)
ops = rs.uniform(-1, 1, (3000, 8)).astype("float32")
temp = np.sin(2 * ops[:, 0]) * ops[:, 1] + np.exp(-ops[:, 2] ** 2) + 0.5 * ops[:, 3:].prod(1) + ops[:, 4]
temp = ((temp - temp.mean()) / temp.std()).astype("float32")
x, t = torch.from_numpy(ops), torch.from_numpy(temp)[:, None]

widths = [8] + [64] * 9 + [1]
params = []
for n_in, n_out in zip(widths[:-1], widths[1:]):
    W = torch.randn(n_in, n_out) / n_in  # fix: W = torch.randn(n_in, n_out) * 1.2 / n_in ** 0.5
    params += [W.requires_grad_(), torch.zeros(n_out, requires_grad=True)]


def predict(h):
    for i in range(0, len(params), 2):
        h = h @ params[i] + params[i + 1]
        if i < len(params) - 2:
            h = torch.tanh(h)
    return h


lr, mom = 0.01, 0.9
vel = [torch.zeros_like(p) for p in params]
losses = []
for it in range(3000):
    b = torch.from_numpy(rs.integers(0, 3000, 64))
    loss = ((predict(x[b]) - t[b]) ** 2).mean()
    grads = torch.autograd.grad(loss, params)
    with torch.no_grad():
        for p, g, v in zip(params, grads, vel):
            v.mul_(mom).add_(g)
            p.sub_(lr * v)
    losses.append(loss.item())
    if it % 300 == 299:
        print(it + 1, np.mean(losses[-300:]))
print("final loss", np.mean(losses[-200:]))
