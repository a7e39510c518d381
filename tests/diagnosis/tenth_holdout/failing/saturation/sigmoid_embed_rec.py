"""Click prediction with an old sigmoid network on one-hot-ish categorical embeddings (two tower, taken from a 2010 code base).

Cause: saturation
Fails: the loss falls from 1.8 to that of a constant guess and stays there (0.693)
"""
import torch
from torch import nn

torch.manual_seed(82)
USERS, ITEMS, DIM = 500, 300, 24
taste, kind = torch.randn(USERS, 5), torch.randn(ITEMS, 5)
affinity = taste @ kind.T


class SigmoidTower(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.emb = nn.Embedding(n, DIM)
        self.h1, self.h2 = nn.Linear(DIM, 64), nn.Linear(64, 16)
        for lin in (self.h1, self.h2):
            nn.init.normal_(lin.weight, mean=0.0, std=8.0)  # fix: nn.init.normal_(lin.weight, mean=0.0, std=1.0 / lin.in_features ** 0.5)
            nn.init.zeros_(lin.bias)

    def forward(self, i):
        return torch.sigmoid(self.h2(torch.sigmoid(self.h1(self.emb(i))) * 2 - 1)) * 2 - 1


class Clicks(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = SigmoidTower(USERS), SigmoidTower(ITEMS)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, u, i):
        return self.scale * (self.user(u) * self.item(i)).sum(-1)


def sample(n, gen):
    u = torch.randint(0, USERS, (n,), generator=gen)
    i = torch.randint(0, ITEMS, (n,), generator=gen)
    p = torch.sigmoid(2.0 * affinity[u, i])
    return u, i, (torch.rand(n, generator=gen) < p).float()


gen = torch.Generator().manual_seed(82)
model = Clicks()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
logloss = nn.BCEWithLogitsLoss()
hist = []
for step in range(1500):
    u, i, c = sample(512, gen)
    loss = logloss(model(u, i), c)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 150 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-50:]) / 50)
