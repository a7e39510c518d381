"""Hand-written Adam on a spiral classification net.

Cause: stale-second-moment
Fails: the second moment forgets far faster than the first (0.5 against 0.99), the
steps are wildly uneven and the loss climbs and jumps without settling.
"""
import math
import torch
import torch.nn.functional as F

torch.manual_seed(37)
n = 900
k = torch.arange(n) % 3
r = torch.rand(n).sqrt()
phi = r * 5 + k * 2 * math.pi / 3 + 0.12 * torch.randn(n)
pts = torch.stack([r * phi.cos(), r * phi.sin()], 1) * 2

dims = [2, 64, 64, 64, 3]
W = [torch.randn(a, b) * (2 / a) ** 0.5 for a, b in zip(dims, dims[1:])]
B = [torch.zeros(b) for b in dims[1:]]
theta = [p.requires_grad_() for p in W + B]


class Adam:
    def __init__(self, ps, lr, beta1, beta2, eps=1e-8):
        self.ps, self.lr, self.b1, self.b2, self.eps = ps, lr, beta1, beta2, eps
        self.m = [torch.zeros_like(p) for p in ps]
        self.v = [torch.zeros_like(p) for p in ps]
        self.t = 0

    @torch.no_grad()
    def step(self, grads):
        self.t += 1
        for p, g, m, v in zip(self.ps, grads, self.m, self.v):
            m.mul_(self.b1).add_(g, alpha=1 - self.b1)
            v.mul_(self.b2).addcmul_(g, g, value=1 - self.b2)
            mh = m / (1 - self.b1 ** self.t)
            vh = v / (1 - self.b2 ** self.t)
            p -= self.lr * mh / (vh.sqrt() + self.eps)


def forward(x):
    for i in range(4):
        x = x @ W[i] + B[i]
        if i < 3:
            x = torch.relu(x)
    return x


opt = Adam(theta, 3e-3, 0.99, 0.5)  # fix: opt = Adam(theta, 3e-3, 0.9, 0.999)
roll = []
for it in range(9000):
    idx = torch.randint(0, n, (64,))
    loss = F.cross_entropy(forward(pts[idx]), k[idx])
    opt.step(torch.autograd.grad(loss, theta))
    roll.append(loss.item())
    if it % 900 == 0:
        print(f"it {it:4d} loss {loss.item():.4f}")
print(f"final loss {sum(roll[-100:]) / 100:.5f}")
