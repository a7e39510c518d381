"""Two-tower contrastive matching of captions and scenes (vectors), InfoNCE.

Cause: saturation, attention-logits, loss-scale
Fails: a temperature of 1e-4 makes logits of +-10000, the soft-max is one-hot; the
loss starts at 4000 and keeps jumping between 0 and 6, on average ten times the proper one.
"""
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F

p = argparse.ArgumentParser()
p.add_argument("--steps", type=int, default=1400)
p.add_argument("--dim", type=int, default=32)
p.add_argument("--tau", type=float, default=0.0001)  # fix: p.add_argument("--tau", type=float, default=0.1)
a = p.parse_args()
torch.manual_seed(73)
M1, M2 = torch.randn(12, 40), torch.randn(12, 50)


def pairs(n):
    z = torch.randn(n, 12)
    return torch.tanh(z @ M1 / 3) + 0.2 * torch.randn(n, 40), torch.sin(z @ M2 / 4) + 0.2 * torch.randn(n, 50)


def tower(d):
    return nn.Sequential(nn.Linear(d, 96), nn.GELU(), nn.Linear(96, a.dim))


ta, tb = tower(40), tower(50)
opt = torch.optim.AdamW([*ta.parameters(), *tb.parameters()], lr=2e-3)
rec = []
for st in range(a.steps):
    x, y = pairs(64)
    sim = F.normalize(ta(x), dim=1) @ F.normalize(tb(y), dim=1).T
    tgt = torch.arange(64)
    loss = (F.cross_entropy(sim / a.tau, tgt) + F.cross_entropy(sim.T / a.tau, tgt)) / 2
    opt.zero_grad()
    loss.backward()
    opt.step()
    rec.append(loss.item())
    if st % 140 == 0:
        print(st, f"nce {loss.item():.4f}")
print(f"final loss {sum(rec[-50:]) / 50:.4f}")
