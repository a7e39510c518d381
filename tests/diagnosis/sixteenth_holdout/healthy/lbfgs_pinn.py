"""Damped oscillator as a physics-informed net: Adam then L-BFGS, second derivatives in the loss."""
import torch
import torch.nn as nn

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
t = torch.linspace(0, 4, 120)[:, None].requires_grad_()
W2, C = 9.0, 0.6


def total():
    x = net(t)
    v = torch.autograd.grad(x.sum(), t, create_graph=True)[0]
    a = torch.autograd.grad(v.sum(), t, create_graph=True)[0]
    res = (a + C * v + W2 * x).pow(2).mean()
    return res + 100 * (x[0] - 1).pow(2).sum() + 10 * v[0].pow(2).sum()


opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for i in range(1200):
    opt.zero_grad()
    l = total()
    l.backward()
    opt.step()
    if i % 150 == 0:
        print("adam", i, l.item())
fin = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=20, history_size=30, line_search_fn="strong_wolfe")


def closure():
    fin.zero_grad()
    l = total()
    l.backward()
    return l


for k in range(40):
    l = fin.step(closure)
    if k % 8 == 0:
        print("lbfgs", k, l.item())
print("final loss", total().item())
