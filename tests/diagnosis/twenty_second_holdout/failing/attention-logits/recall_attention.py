"""Associative recall: key-value pairs are written one after the other, then one key is asked; single-head attention, two layers.

Cause: attention-logits
"""
import math
from typing import NamedTuple
import torch
from torch import Tensor

torch.set_num_threads(1)
torch.manual_seed(64)

D, NK, NV, PAIRS, BATCH = 48, 12, 12, 5, 64


class Layer(NamedTuple):
    wq: Tensor
    wk: Tensor
    wv: Tensor
    wo: Tensor
    w1: Tensor
    w2: Tensor


def dense(i, o):
    return (torch.randn(i, o) * i ** -0.5).requires_grad_()


def norm(x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


layers = [Layer(dense(D, D), dense(D, D), dense(D, D), dense(D, D), dense(D, 2 * D), dense(2 * D, D)) for _ in range(2)]
emb = (torch.randn(NK + NV + 1, D) * 0.5).requires_grad_()
pos = (torch.randn(2 * PAIRS + 1, D) * 0.5).requires_grad_()
head = dense(D, NV)


def attend(l: Layer, x: Tensor) -> Tensor:
    q, k, v = x @ l.wq, x @ l.wk, x @ l.wv
    s = q @ k.transpose(1, 2) * math.sqrt(D)  # fix: s = q @ k.transpose(1, 2) / math.sqrt(D)
    return torch.softmax(s, -1) @ v @ l.wo


def net(tok: Tensor) -> Tensor:
    x = emb[tok] + pos
    for l in layers:
        x = x + attend(l, norm(x))
        x = x + torch.relu(norm(x) @ l.w1) @ l.w2
    return norm(x[:, -1]) @ head


def make(n=BATCH):
    keys = torch.rand(n, NK).argsort(1)[:, :PAIRS]
    vals = torch.randint(0, NV, (n, PAIRS))
    seq = torch.stack([keys, vals + NK], 2).flatten(1)
    a = torch.randint(0, PAIRS, (n,))
    r = torch.arange(n)
    return torch.cat([seq, keys[r, a][:, None]], 1), vals[r, a]


weights = [w for l in layers for w in l] + [emb, pos, head]
opt = torch.optim.Adam(weights, lr=2e-3)
ce = []
for i in range(1400):
    for g in opt.param_groups:
        g["lr"] = 2e-3 * min(1, (i + 1) / 50)
    x, y = make()
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    ce.append(loss.item())
    if i % 100 == 0:
        print(f"{i:5d} ce {sum(ce[-50:]) / len(ce[-50:]):.4f}")
print("final loss", sum(ce[-20:]) / 20)
