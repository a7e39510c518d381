"""Trains a feed-forward n-gram language model without nn.Module, using an SGD update with decoupled decay written inline.
Cause: weight-growth
Fails: the loss falls for some hundred steps, then turns, climbs back to its start and past it, and never comes down.
"""
import torch
import torch.nn.functional as F

gen = torch.Generator().manual_seed(79)
V, CTX, E, H = 40, 3, 16, 64
P = torch.zeros(V, V)
for i in range(V):
    P[i, torch.randperm(V, generator=gen)[:4]] = torch.tensor([0.6, 0.2, 0.15, 0.05])
seq = [0]
for _ in range(12000):
    seq.append(int(torch.multinomial(P[seq[-1]], 1, generator=gen)))
seq = torch.tensor(seq)
win = seq.unfold(0, CTX + 1, 1)

emb = torch.randn(V, E, generator=gen) * 0.3
w1 = torch.randn(CTX * E, H, generator=gen) / (CTX * E) ** 0.5
b1 = torch.zeros(H)
w2 = torch.randn(H, V, generator=gen) / H ** 0.5
b2 = torch.zeros(V)
params = [emb, w1, b1, w2, b2]
for p in params:
    p.requires_grad_(True)

lr, wd = 0.3, 0.01
avg = None
for step in range(2500):
    b = win[torch.randint(0, len(win), (64,), generator=gen)]
    h = torch.relu(emb[b[:, :CTX]].flatten(1) @ w1 + b1)
    loss = F.cross_entropy(h @ w2 + b2, b[:, CTX])
    grads = torch.autograd.grad(loss, params)
    with torch.no_grad():
        for p, g in zip(params, grads):
            if p.dim() > 1:
                p.add_(p, alpha=lr * wd)  # fix: p.add_(p, alpha=-lr * wd)
            p.add_(g, alpha=-lr)
    avg = loss.item() if avg is None else 0.97 * avg + 0.03 * loss.item()
    if step % 250 == 0:
        print(step, round(avg, 4))
print("final loss", round(avg, 4))
