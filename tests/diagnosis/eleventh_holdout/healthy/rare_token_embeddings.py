"""Skip-gram with a Zipf vocabulary, SparseAdam and negative sampling: most rows see no gradient for long, rare words give sudden large ones."""
import torch
from torch import nn
import torch.nn.functional as F

V, D, K = 2000, 24, 5
torch.manual_seed(15)
g = torch.Generator().manual_seed(16)
freq = 1.0 / torch.arange(1, V + 1).float() ** 1.05
group = torch.randint(0, 12, (V,), generator=g)
by_group = [(group == k).float() * freq for k in range(12)]


class SGNS(nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.v = nn.Embedding(V, D, sparse=True), nn.Embedding(V, D, sparse=True)
        nn.init.normal_(self.u.weight, std=0.1)
        nn.init.zeros_(self.v.weight)

    def forward(self, c, o, neg):
        u = self.u(c)
        pos = (u * self.v(o)).sum(-1)
        bad = torch.einsum("bd,bkd->bk", u, self.v(neg))
        return -(F.logsigmoid(pos) + F.logsigmoid(-bad).sum(-1)).mean()


def pairs(n):
    c = torch.multinomial(freq, n, replacement=True, generator=g)
    w = torch.stack([by_group[k] for k in group[c].tolist()])
    o = torch.multinomial(w, 1, generator=g).squeeze(1)
    return c, o, torch.multinomial(freq ** 0.75, n * K, replacement=True, generator=g).view(n, K)


net = SGNS()
opt = torch.optim.SparseAdam(net.parameters(), lr=1e-2)
h = []
for i in range(500):
    loss = net(*pairs(128))
    opt.zero_grad()
    loss.backward()
    opt.step()
    h.append(loss.item())
    if i % 100 == 0:
        print(i, h[-1])
print("final loss", sum(h[-30:]) / 30)
