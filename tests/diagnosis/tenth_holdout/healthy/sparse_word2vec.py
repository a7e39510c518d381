"""Skip-gram with negative sampling and SparseAdam on Zipf tokens; most rows get no gradient, the loss stays flat at first and embeddings grow."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(61)
rng = np.random.default_rng(61)
V, D, NEG = 1500, 32, 5
groups = rng.integers(0, 30, V)
freq = 1 / np.arange(1, V + 1)
freq /= freq.sum()
members = [np.flatnonzero(groups == g) for g in range(30)]
probs = [freq[m] / freq[m].sum() for m in members]
noise = torch.tensor(freq ** 0.75, dtype=torch.float32)


def pairs(n):
    w = rng.choice(V, n, p=freq)
    c = np.array([rng.choice(members[groups[i]], p=probs[groups[i]]) if rng.random() < 0.8 else rng.integers(V) for i in w])
    return torch.tensor(w), torch.tensor(c)


emb_in, emb_out = nn.Embedding(V, D, sparse=True), nn.Embedding(V, D, sparse=True)
nn.init.uniform_(emb_in.weight, -0.5 / D, 0.5 / D)
nn.init.zeros_(emb_out.weight)
opt = torch.optim.SparseAdam([*emb_in.parameters(), *emb_out.parameters()], lr=5e-3)
hist = []
for step in range(500):
    w, c = pairs(128)
    neg = torch.multinomial(noise, 128 * NEG, replacement=True).view(128, NEG)
    u = emb_in(w)
    pos_score = (u * emb_out(c)).sum(-1)
    neg_score = torch.einsum("bd,bkd->bk", u, emb_out(neg))
    loss = F.softplus(-pos_score).mean() + F.softplus(neg_score).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, loss.item(), "norm", emb_in.weight.norm(dim=1).mean().item())
print("final loss", float(np.mean(hist[-40:])))
