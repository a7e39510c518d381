"""Small ConvNet on the 8x8 digits with explicit parameter tensors.

Cause: vanishing-depth
Fails: final test accuracy 0.0882 (with the fix 0.9824)
"""
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

rng = np.random.default_rng(10)
torch.manual_seed(10)

d = load_digits()
imgs = torch.tensor(d.images / 16.0 - 0.3, dtype=torch.float32)[:, None]
labs = torch.tensor(d.target)
perm = torch.tensor(rng.permutation(len(imgs)))
tr, te = perm[:1400], perm[1400:]


def weight(*shape):
    return torch.zeros(*shape, requires_grad=True)  # fix: return torch.tensor(rng.normal(0, np.sqrt(2 / int(np.prod(shape[1:]))), shape), dtype=torch.float32, requires_grad=True)


def bias(n):
    return torch.zeros(n, requires_grad=True)


theta = {
    "c1.w": weight(16, 1, 3, 3), "c1.b": bias(16),
    "c2.w": weight(32, 16, 3, 3), "c2.b": bias(32),
    "f1.w": weight(64, 32 * 4), "f1.b": bias(64),
    "f2.w": weight(10, 64), "f2.b": bias(10),
}


def forward(p, x):
    x = F.max_pool2d(F.relu(F.conv2d(x, p["c1.w"], p["c1.b"], padding=1)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p["c2.w"], p["c2.b"], padding=1)), 2)
    x = F.relu(F.linear(x.flatten(1), p["f1.w"], p["f1.b"]))
    return F.linear(x, p["f2.w"], p["f2.b"])


velocity = {k: torch.zeros_like(v) for k, v in theta.items()}


def update(p, grads, lr, mu=0.9):
    with torch.no_grad():
        for (k, w), g in zip(p.items(), grads):
            velocity[k].mul_(mu).add_(g)
            w -= lr * velocity[k]


it = 0
for epoch in range(8):
    order = tr[torch.randperm(len(tr))]
    lr = 0.05 * 0.8 ** epoch
    tot = 0.0
    for j in order.split(50):
        loss = F.cross_entropy(forward(theta, imgs[j]), labs[j])
        grads = torch.autograd.grad(loss, list(theta.values()))
        update(theta, grads, lr)
        tot += loss.item()
        it += 1
    print(f"epoch {epoch}  lr {lr:.3f}  loss {tot / 28:.4f}")

with torch.no_grad():
    acc = (forward(theta, imgs[te]).argmax(1) == labs[te]).float().mean().item()
print("steps", it)
print("final test accuracy", round(acc, 4))
