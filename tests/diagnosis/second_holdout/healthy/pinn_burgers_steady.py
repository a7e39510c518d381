"""PINN for u'' = -pi^2 sin(pi x) with double backward, then LBFGS to polish."""
import math
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
x = torch.linspace(-1, 1, 64).view(-1, 1)


def residual_loss():
    xx = x.clone().requires_grad_()
    u = net(xx)
    du, = torch.autograd.grad(u.sum(), xx, create_graph=True)
    d2u, = torch.autograd.grad(du.sum(), xx, create_graph=True)
    pde = (d2u + math.pi ** 2 * torch.sin(math.pi * xx)).square().mean()
    bc = net(torch.tensor([[-1.0], [1.0]])).square().mean()
    return pde + 100 * bc


adam = torch.optim.Adam(net.parameters(), lr=3e-3)
for i in range(500):
    adam.zero_grad()
    loss = residual_loss()
    loss.backward()
    adam.step()
    if i % 100 == 0:
        print("adam", i, loss.item())

lbfgs = torch.optim.LBFGS(net.parameters(), max_iter=20, history_size=20, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    l = residual_loss()
    l.backward()
    return l


for i in range(15):
    loss = lbfgs.step(closure)
    if i % 5 == 0:
        print("lbfgs", i, loss.item())
print("final loss", residual_loss().item())
