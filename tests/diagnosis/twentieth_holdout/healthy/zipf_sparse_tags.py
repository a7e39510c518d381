"""Topic tags from bags of Zipf-distributed words, sparse embedding gradients and two optimizers."""
import torch
from torch import nn

torch.manual_seed(9)
V, K = 20000, 6
pz = 1 / torch.arange(1, V + 1).float()
topic = torch.randint(0, K, (V,))


def docs(n, L=40):
    y = torch.randint(0, K, (n,))
    w = torch.multinomial(pz.expand(n, V), L * 3, replacement=True) if n < 300 else torch.multinomial(pz, n * L * 3, replacement=True).view(n, -1)
    keep = (topic[w] == y[:, None]).float() * 3 + 1 + torch.rand(n, L * 3)
    return w.gather(1, keep.topk(L, 1).indices[:, torch.randperm(L)]), y


W, Y = docs(4000)
emb = nn.EmbeddingBag(V, 24, mode="mean", sparse=True)
head = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, K))
o1 = torch.optim.SparseAdam(list(emb.parameters()), lr=2e-2)
o2 = torch.optim.AdamW(head.parameters(), lr=3e-3)
for step in range(300):
    i = torch.randint(0, 3500, (32,))
    loss = nn.functional.cross_entropy(head(emb(W[i])), Y[i])
    o1.zero_grad()
    o2.zero_grad()
    loss.backward()
    o1.step()
    o2.step()
    if step % 30 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.cross_entropy(head(emb(W[3500:])), Y[3500:]).item())
