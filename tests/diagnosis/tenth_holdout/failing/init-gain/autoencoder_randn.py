"""Deep autoencoder for gene expression profiles, functional style with hand made parameters.

Cause: init-gain
Fails: the loss starts at 1e15 and is not finite from step 1 on
"""
from functools import reduce
import math
import torch

torch.manual_seed(101)
SIZES = (120, 96, 64, 32, 12, 32, 64, 96, 120)


def expression(n):
    g = torch.Generator().manual_seed(1)
    load = torch.randn(8, 120, generator=g) / math.sqrt(8)
    return torch.tanh(torch.randn(n, 8) @ load) + 0.1 * torch.randn(n, 120)


def init_layer(n_in, n_out):
    std = math.sqrt(n_out) / 4  # fix: std = math.sqrt(2.0 / n_in)
    return [(torch.randn(n_in, n_out) * std).requires_grad_(), torch.zeros(n_out, requires_grad=True)]


def forward(params, x):
    hidden = reduce(lambda h, wb: torch.nn.functional.gelu(h @ wb[0] + wb[1]), params[:-1], x)
    return hidden @ params[-1][0] + params[-1][1]


def sgd_momentum(params, velocity, lr, mu=0.9):
    with torch.no_grad():
        for p, v in zip(params, velocity):
            v.mul_(mu).add_(p.grad)
            p.sub_(lr * v)
            p.grad = None


params = [init_layer(a, b) for a, b in zip(SIZES[:-1], SIZES[1:])]
flat = [t for wb in params for t in wb]
velocity = [torch.zeros_like(t) for t in flat]
trace = []
for step in range(900):
    x = expression(64)
    loss = (forward(params, x) - x).square().mean()
    loss.backward()
    sgd_momentum(flat, velocity, lr=0.05 if step < 600 else 0.02)
    trace.append(float(loss.detach()))
    if step % 100 == 0:
        print("step", step, "recon", trace[-1])
print("final loss", sum(trace[-30:]) / 30)
