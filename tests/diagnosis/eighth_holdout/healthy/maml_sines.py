"""MAML written by hand on sine tasks; the meta loss is noisy and sits on a plateau before it learns.
"""
import torch

torch.manual_seed(15)


def init(sizes):
    ps = []
    for a, b in zip(sizes[:-1], sizes[1:]):
        ps += [(torch.randn(b, a) * (2 / a) ** 0.5).requires_grad_(), torch.zeros(b, requires_grad=True)]
    return ps


def f(ps, x):
    for i in range(0, len(ps), 2):
        x = torch.einsum("tni,toi->tno" if ps[i].dim() == 3 else "tni,oi->tno", x, ps[i]) + (ps[i + 1][:, None] if ps[i + 1].dim() == 2 else ps[i + 1])
        if i < len(ps) - 2:
            x = torch.relu(x)
    return x


def tasks(t, n):
    amp, ph = 0.5 + 3.5 * torch.rand(t, 1, 1), 3.14 * torch.rand(t, 1, 1)
    x = 10 * torch.rand(t, n, 1) - 5
    return x, amp * torch.sin(x - ph)


def adapted(ps, xs, ys, lr=0.02):
    fast = [p.expand(xs.shape[0], *p.shape) for p in ps]
    for _ in range(2):
        inner = (f(fast, xs) - ys).square().mean((1, 2)).sum()
        g = torch.autograd.grad(inner, fast, create_graph=True)
        fast = [w - lr * d for w, d in zip(fast, g)]
    return fast


theta = init([1, 40, 40, 1])
opt = torch.optim.Adam(theta, lr=2e-3)
log = []
for it in range(1100):
    x, y = tasks(16, 20)
    fast = adapted(theta, x[:, :10], y[:, :10])
    loss = (f(fast, x[:, 10:]) - y[:, 10:]).square().mean()
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(theta, 10.0)
    opt.step()
    log.append(loss.item())
    if it % 110 == 0:
        print(it, "meta", round(sum(log[-50:]) / len(log[-50:]), 3))
print("final loss", sum(log[-100:]) / 100)
