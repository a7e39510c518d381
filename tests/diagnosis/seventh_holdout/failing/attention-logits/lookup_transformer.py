"""Key-value lookup with a one-layer attention reader (memory of 12 pairs, query picks one).

Cause: attention-logits
Fails: the logits are multiplied by sqrt(d) instead of divided, the softmax is one-hot from the start (entropy 0) and passes no gradient; the loss stays at 2.63 (chance 2.77)
"""
import math
import torch
from torch import nn, optim
import torch.nn.functional as F

torch.manual_seed(1234)
gen = torch.Generator().manual_seed(99)
KEYS, VALS, PAIRS, D = 32, 16, 12, 64


def sample(bs):
    keys = torch.stack([torch.randperm(KEYS, generator=gen)[:PAIRS] for _ in range(bs)])
    vals = torch.randint(VALS, (bs, PAIRS), generator=gen)
    which = torch.randint(PAIRS, (bs,), generator=gen)
    r = torch.arange(bs)
    return keys, vals, keys[r, which], vals[r, which]


class Head(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.q = nn.Linear(d, d)
        self.k = nn.Linear(d, d)
        self.v = nn.Linear(d, d)

    def forward(self, query, mem, val):
        q, k, v = self.q(query), self.k(mem), self.v(val)
        att = torch.einsum("bd,bnd->bn", q, k) * math.sqrt(q.shape[-1])  # fix: att = torch.einsum("bd,bnd->bn", q, k) / math.sqrt(q.shape[-1])
        w = att.softmax(-1)
        self.last_entropy = -(w * (w + 1e-9).log()).sum(-1).mean().item()
        return torch.einsum("bn,bnd->bd", w, v)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.key_emb = nn.Embedding(KEYS, D)
        self.val_emb = nn.Embedding(VALS, D)
        self.att = Head(D)
        self.norm = nn.LayerNorm(D)
        self.out = nn.Linear(D, VALS)

    def forward(self, keys, vals, query):
        ctx = self.att(self.key_emb(query), self.key_emb(keys), self.val_emb(vals))
        return self.out(self.norm(ctx))


net = Reader()
opt = optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
sched = optim.lr_scheduler.CosineAnnealingLR(opt, 900)
avg = None
for it in range(900):
    keys, vals, query, target = sample(64)
    loss = F.cross_entropy(net(keys, vals, query), target)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    sched.step()
    avg = loss.item() if avg is None else 0.97 * avg + 0.03 * loss.item()
    if it % 100 == 0:
        print(f"{it:5d}  loss {avg:.3f}  attention entropy {net.att.last_entropy:.3f}")
print("final loss", avg)
