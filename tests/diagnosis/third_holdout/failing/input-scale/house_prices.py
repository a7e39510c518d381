"""Log house prices from a table of lot area, year, income of the district and rooms.

Cause: input-scale
Fails: the loss starts at 5e7 and is not finite from step 1 on
"""
import numpy as np
import torch

rng = np.random.default_rng(8)
torch.manual_seed(8)

n = 3000
area = rng.gamma(3.0, 250.0, n)
year = rng.integers(1920, 2024, n).astype(float)
income = rng.lognormal(10.8, 0.4, n)
rooms = rng.integers(1, 9, n).astype(float)
log_price = 0.5 * np.log(area) + 0.004 * (year - 1970) + 0.6 * np.log(income / 5e4) + 0.05 * rooms
log_price = log_price - log_price.mean() + 0.05 * rng.standard_normal(n)

table = np.stack([area, year, income, rooms], 1)
feats = table  # fix: feats = (table - table.mean(0)) / table.std(0)
X = torch.tensor(feats, dtype=torch.float32)
Y = torch.tensor(log_price, dtype=torch.float32)


def make_params():
    out = {}
    for i, (a, b) in enumerate([(4, 32), (32, 32), (32, 1)]):
        out[f"w{i}"] = (torch.randn(a, b) / a ** 0.5).requires_grad_()
        out[f"b{i}"] = torch.zeros(b, requires_grad=True)
    return out


def predict(p, x):
    h = torch.nn.functional.gelu(x @ p["w0"] + p["b0"])
    h = torch.nn.functional.gelu(h @ p["w1"] + p["b1"])
    return (h @ p["w2"] + p["b2"])[:, 0]


params = make_params()
optimizer = torch.optim.SGD(params.values(), lr=0.02)
history = []
for step in range(2000):
    idx = torch.randint(0, n, (64,))
    loss = torch.mean((predict(params, X[idx]) - Y[idx]) ** 2)
    grads = torch.autograd.grad(loss, list(params.values()))
    for q, g in zip(params.values(), grads):
        q.grad = g
    optimizer.step()
    history.append(loss.item())
print("final loss", float(np.mean(history[-50:])))
