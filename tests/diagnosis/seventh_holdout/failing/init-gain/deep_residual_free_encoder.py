"""Energy use of buildings (tabular), 14-layer GELU MLP written in functional style (torch.func).

Cause: init-gain
Fails: the weights are drawn with std 2.5/sqrt(fan_in); the signal grows about 1.7x a layer, the first loss is 1.4e7 and the next ones are nan
"""
import math
import torch
from torch.func import grad_and_value


def init_params(sizes, gen):
    params = []
    for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:])):
        std = 2.5 / math.sqrt(a)  # fix: std = 1.4 / math.sqrt(a)
        params.append((torch.randn(a, b, generator=gen) * std, torch.zeros(b)))
    return params


def forward(params, x):
    for w, b in params[:-1]:
        x = torch.nn.functional.gelu(x @ w + b)
    w, b = params[-1]
    return (x @ w + b)[:, 0]


def loss_fn(params, x, y):
    return ((forward(params, x) - y) ** 2).mean()


def data(n, gen):
    x = torch.randn(n, 10, generator=gen)
    y = torch.sin(x[:, 0] * 1.5) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3].abs() - x[:, 4]
    y = (y - y.mean()) / y.std()
    return x, y


def tree_map(f, *trees):
    return [tuple(f(*leaf) for leaf in zip(*layer)) for layer in zip(*trees)]


def main():
    gen = torch.Generator().manual_seed(2024)
    X, Y = data(4000, gen)
    params = init_params([10] + [96] * 13 + [1], gen)
    vel = tree_map(torch.zeros_like, params)
    step_fn = grad_and_value(loss_fn)
    lr, mom = 0.004, 0.9
    trace = []
    for step in range(900):
        idx = torch.randint(4000, (64,), generator=gen)
        g, l = step_fn(params, X[idx], Y[idx])
        vel = tree_map(lambda v, gg: mom * v + gg, vel, g)
        params = tree_map(lambda p, v: p - lr * v, params, vel)
        trace.append(float(l))
        if step % 100 == 0:
            print(f"step {step}: {float(l):.5g}")
    tail = trace[-50:]
    print("final loss", sum(tail) / len(tail))


main()
