"""LBFGS with strong Wolfe search on a small physics-informed network for a damped oscillator."""

import torch
import torch.nn as nn

torch.manual_seed(0)
t_col = torch.linspace(0, 4, 60).unsqueeze(1).requires_grad_(True)
t0 = torch.zeros(1, 1, requires_grad=True)
net = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
opt = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=5, history_size=20, line_search_fn="strong_wolfe")


def d(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def residual():
    u = net(t_col)
    du = d(u, t_col)
    ddu = d(du, t_col)
    pde = (ddu + 0.4 * du + 4.0 * u).square().mean()
    u0 = net(t0)
    ic = (u0 - 1).square().sum() + d(u0, t0).square().sum()
    return pde + 10 * ic


def closure():
    opt.zero_grad()
    loss = residual()
    loss.backward()
    return loss


losses = []
for step in range(70):
    losses.append(opt.step(closure).item())
print("final loss", sum(losses[-10:]) / 10)
