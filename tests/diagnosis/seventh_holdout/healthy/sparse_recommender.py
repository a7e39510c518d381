"""Matrix factorisation with sparse embeddings (SparseAdam) and BPR loss; most rows see no gradient in most steps."""
import numpy as np
import torch
from torch import nn

torch.manual_seed(4)
rng = np.random.default_rng(4)
U, I, K = 600, 400, 8
pu, qi = rng.standard_normal((U, 4)), rng.standard_normal((I, 4))
score = pu @ qi.T + 0.5 * rng.standard_normal((U, I))
pos = np.argsort(-score, 1)[:, :30]
pop = np.zeros((U, I), bool)
pop[np.arange(U)[:, None], pos] = True


class BPR(nn.Module):
    def __init__(self):
        super().__init__()
        self.u = nn.Embedding(U, K, sparse=True)
        self.i = nn.Embedding(I, K, sparse=True)
        self.b = nn.Embedding(I, 1, sparse=True)
        for e in (self.u, self.i):
            nn.init.normal_(e.weight, std=0.1)
        nn.init.zeros_(self.b.weight)

    def forward(self, u, i):
        return (self.u(u) * self.i(i)).sum(-1) + self.b(i).squeeze(-1)


def triples(n):
    u = rng.integers(0, U, n)
    p = pos[u, rng.integers(0, 25, n)]
    j = rng.integers(0, I, n)
    for _ in range(4):
        bad = pop[u, j]
        j[bad] = rng.integers(0, I, bad.sum())
    return torch.tensor(u), torch.tensor(p), torch.tensor(j)


def validate(m):
    u = np.repeat(np.arange(U), 5)
    p = pos[:, 25:].reshape(-1)
    j = np.random.default_rng(0).integers(0, I, len(u))
    with torch.no_grad():
        d = m(torch.tensor(u), torch.tensor(p)) - m(torch.tensor(u), torch.tensor(j))
    return -nn.functional.logsigmoid(d).mean().item(), (d > 0).float().mean().item()


m = BPR()
opt = torch.optim.SparseAdam(list(m.parameters()), lr=0.01)
for step in range(1500):
    u, p, j = triples(64)
    loss = -nn.functional.logsigmoid(m(u, p) - m(u, j)).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 150 == 0:
        v, auc = validate(m)
        print(f"step {step} loss {loss.item():.4f} val {v:.4f} auc {auc:.3f}")
print("final loss", validate(m)[0])
