"""Trains a physics-informed network on a Poisson problem with a large source term: the first loss is in the tens of thousands and falls by orders of magnitude."""
import math
import torch
import torch.nn as nn

torch.manual_seed(6)
torch.set_num_threads(1)
net = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.995)
k = math.pi


def residual(x):
    x = x.requires_grad_(True)
    u = 20 * (1 - x ** 2) * net(x)
    du = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
    d2 = torch.autograd.grad(du.sum(), x, create_graph=True)[0]
    return d2 + 20 * k ** 2 * torch.sin(k * x)


g = torch.Generator().manual_seed(3)
for step in range(800):
    x = torch.rand(96, 1, generator=g) * 2 - 1
    loss = (residual(x) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 80 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    x = torch.linspace(-1, 1, 201).unsqueeze(1)
    print("final loss", ((20 * (1 - x ** 2) * net(x) - 20 * torch.sin(k * x)) ** 2).mean().item())
