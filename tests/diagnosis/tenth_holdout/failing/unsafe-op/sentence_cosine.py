"""Two tower question/answer matcher with mean pooled embeddings and a cosine InfoNCE loss; some queries are empty after cleaning.

Cause: unsafe-op
Fails: the loss is not finite from step 25 on
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(77)
rng = np.random.default_rng(77)
VOCAB, TOPICS, L, PAD = 500, 25, 12, 0
topic_words = rng.integers(1, VOCAB, (TOPICS, 12))


def text(topic):
    n = rng.integers(3, L + 1)
    w = np.where(rng.random(n) < 0.6, rng.choice(topic_words[topic], n), rng.integers(1, VOCAB, n))
    return np.pad(w, (0, L - n))


def make_batch(n=64):
    topics = rng.integers(0, TOPICS, n)
    q = np.stack([text(k) for k in topics])
    a = np.stack([text(k) for k in topics])
    q[rng.random(n) < 0.0008] = PAD
    return torch.from_numpy(q), torch.from_numpy(a), torch.from_numpy(topics)


class Tower(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, dim, padding_idx=PAD)
        self.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, tok):
        m = (tok != PAD).float().unsqueeze(-1)
        pooled = (self.emb(tok) * m).sum(1) / m.sum(1).clamp(min=1.0)
        v = self.proj(pooled)
        return v / v.norm(dim=-1, keepdim=True)  # fix: return F.normalize(v, dim=-1, eps=1e-6)


query, answer = Tower(), Tower()
opt = torch.optim.Adam([*query.parameters(), *answer.parameters()], lr=3e-3)
losses = []
for step in range(400):
    q, a, topics = make_batch()
    sim = query(q) @ answer(a).T / 0.1
    same = (topics[:, None] == topics[None, :]).float()
    loss = -(F.log_softmax(sim, 1) * same / same.sum(1, keepdim=True)).sum(1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, f"{loss.item():.4f}")
print("final loss", sum(losses[-25:]) / 25)
