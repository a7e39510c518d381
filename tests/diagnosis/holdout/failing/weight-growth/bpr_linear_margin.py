"""Item ranking from implicit feedback: user and item towers trained on sampled pairs.

Cause: weight-growth
Fails: a bare score difference is unbounded below, embeddings and scores grow exponentially until they are inf and nan
"""

import torch
from torch import nn

torch.manual_seed(18)
USERS, ITEMS, DIM = 150, 100, 16
taste_u, taste_i = torch.randn(USERS, 3), torch.randn(ITEMS, 3)
liked = (taste_u @ taste_i.t()) > 1.5


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.user = nn.Embedding(USERS, DIM)
        self.item = nn.Embedding(ITEMS, DIM)
        self.mix = nn.Linear(DIM, DIM, bias=False)
        nn.init.normal_(self.user.weight, std=0.3)
        nn.init.normal_(self.item.weight, std=0.3)

    def forward(self, u, i):
        return (self.mix(self.user(u)) * self.item(i)).sum(-1)


def sample_triples(n):
    w = liked.float() + 1e-9
    u = torch.randint(0, USERS, (n,))
    pos = torch.multinomial(w[u], 1).squeeze(1)
    neg = torch.multinomial(1 - liked[u].float() + 1e-9, 1).squeeze(1)
    return u, pos, neg


def ranking_loss(pos, neg):
    return (neg - pos).mean()  # fix: return nn.functional.softplus(neg - pos).mean()


model = TwoTower()
opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
history = []
for it in range(400):
    u, p, n = sample_triples(256)
    loss = ranking_loss(model(u, p), model(u, n))
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append(loss.item())
    if it % 100 == 99:
        with torch.no_grad():
            u, p, n = sample_triples(1000)
            print(it + 1, "pair accuracy", (model(u, p) > model(u, n)).float().mean().item())
print("final loss", sum(history[-10:]) / 10)
