"""Physics-informed net for a damped oscillator, Adam then LBFGS with a strong-Wolfe closure; the loss goes from 1 to 1e-5 with jumps."""
import torch
import torch.nn as nn

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
W0, D = 4.0, 0.3
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
t = torch.linspace(0, 2, 80).reshape(-1, 1).requires_grad_(True)
t0 = torch.zeros(1, 1, requires_grad=True)


def d(y, x):
    return torch.autograd.grad(y.sum(), x, create_graph=True)[0]


def residual():
    u = net(t)
    du = d(u, t)
    phys = ((d(du, t) + 2 * D * du + W0 ** 2 * u) / W0 ** 2).pow(2).mean()
    u0 = net(t0)
    return phys + (u0 - 1).pow(2).sum() + 0.1 * d(u0, t0).pow(2).sum()


adam = torch.optim.Adam(net.parameters(), lr=5e-3)
for k in range(400):
    adam.zero_grad()
    loss = residual()
    loss.backward()
    adam.step()
    if k % 100 == 0:
        print("adam", k, loss.item())
opt = torch.optim.LBFGS(net.parameters(), lr=1.0, max_iter=8, history_size=30, line_search_fn="strong_wolfe")
for k in range(60):
    def closure():
        opt.zero_grad()
        l = residual()
        l.backward()
        return l
    loss = opt.step(closure)
    if k % 10 == 0:
        print("lbfgs", k, loss.item())
print("final loss", residual().item())
