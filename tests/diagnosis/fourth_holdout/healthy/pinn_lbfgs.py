"""A physics-informed net for u'' + 9 u = 0, u(0)=1, u'(0)=0, solved with LBFGS.

Looks nasty: tiny and huge steps in turn, long plateaus, a stiff penalty on the boundary.
"""
import torch

torch.manual_seed(2)
t = torch.linspace(0, 3, 80).reshape(-1, 1).requires_grad_(True)
W = [torch.nn.init.xavier_normal_(torch.empty(i, o)).requires_grad_() for i, o in ((1, 24), (24, 24), (24, 1))]
B = [torch.zeros(o, requires_grad=True) for o in (24, 24, 1)]


def u(x):
    for w, b in zip(W[:-1], B[:-1]):
        x = torch.tanh(x @ w + b)
    return x @ W[-1] + B[-1]


def residual():
    y = u(t)
    dy, = torch.autograd.grad(y.sum(), t, create_graph=True)
    ddy, = torch.autograd.grad(dy.sum(), t, create_graph=True)
    return (ddy + 9 * y).pow(2).mean() + 100 * ((y[0] - 1).pow(2) + dy[0].pow(2)).sum()


opt = torch.optim.LBFGS(W + B, lr=1.0, max_iter=15, history_size=20, line_search_fn="strong_wolfe")


def closure():
    opt.zero_grad()
    loss = residual()
    loss.backward()
    return loss


for k in range(60):
    loss = opt.step(closure)
    if k % 6 == 0:
        print(f"outer {k} loss {loss.item():.6f}")
print("final loss", residual().item())
