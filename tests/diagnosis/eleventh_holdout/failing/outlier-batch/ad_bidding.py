"""Quant team: volume-weighted regression of auction clearing prices, weights come with each row.

Cause: outlier-batch
Fails: final value 1.238 (with the fix 0.02748); largest backward loss 1436 at call 384, first 0.621
"""
import numpy as np
import torch

rs = np.random.RandomState(4)
N, F_, BS = 6400, 12, 64
feat = rs.randn(N, F_).astype("f4")
price = (np.tanh(feat[:, 0] * feat[:, 1]) + 0.6 * feat[:, 2] + 0.1 * rs.randn(N)).astype("f4")
volume = rs.gamma(4.0, 0.25, N).astype("f4")
block_trades = np.array([2950, 5411])
volume[block_trades] = 3.0e5

net = torch.nn.Sequential(torch.nn.Linear(F_, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
torch.manual_seed(4)
for m in net:
    if hasattr(m, "reset_parameters"):
        m.reset_parameters()
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3, alpha=0.97, momentum=0.5)
warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 20)


def weighted_mse(pred, y, w):
    return (w * (pred - y) ** 2).mean()


def batches():
    # rows are in time order, no shuffling across the session boundary
    for epoch in range(4):
        for s in range(0, N, BS):
            rows = slice(s, s + BS)
            w = volume[rows]  # fix: w = np.minimum(volume[rows], 5.0)
            yield torch.from_numpy(feat[rows]), torch.from_numpy(price[rows]), torch.from_numpy(w)


errs = []
for k, (x, y, w) in enumerate(batches()):
    p = net(x).squeeze(1)
    loss = weighted_mse(p, y, w)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    warm.step()
    errs.append(float(((p - y) ** 2).mean().detach()))
    if k % 50 == 0:
        print(k, errs[-1])
print("final loss", float(np.mean(errs[-40:])))
