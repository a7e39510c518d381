"""Trains a TextCNN with SGD, momentum and gradients accumulated over micro-batches.

Cause: loss-scale
Fails: the loss leaps within the first updates and then stays at log(5)
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_num_threads(1)
rng = random.Random(7)
V, L, NC = 400, 24, 5
phrases = [[[rng.randrange(10, V) for _ in range(3)] for _ in range(8)] for _ in range(NC)]


def sample():
    y = rng.randrange(NC)
    w = [int(10 + (V - 10) * rng.random() ** 2) for _ in range(L)]
    for _ in range(2):
        p = rng.randrange(L - 3)
        w[p:p + 3] = rng.choice(phrases[y])
    return w, y


rows = [sample() for _ in range(6000)]
X, Y = torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows])
Xv, Yv = X[5400:], Y[5400:]


class TextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 48)
        self.convs = nn.ModuleList([nn.Conv1d(48, 32, k, padding=1) for k in (2, 3, 4)])
        self.fc = nn.Linear(96, NC)

    def forward(self, x):
        e = self.emb(x).transpose(1, 2)
        return self.fc(torch.cat([F.relu(c(e)).max(-1)[0] for c in self.convs], 1))


model = TextCNN()
opt = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.9)
accum_steps, micro = 16, 16
perm = torch.randint(0, 5400, (200 * accum_steps * micro,), generator=torch.Generator().manual_seed(0))
for it in range(200):
    opt.zero_grad()
    total = 0.0
    for k in range(accum_steps):
        s = (it * accum_steps + k) * micro
        idx = perm[s:s + micro]
        loss = F.cross_entropy(model(X[idx]), Y[idx])
        total += loss.item() / accum_steps
        loss.backward()  # fix: (loss / accum_steps).backward()
    opt.step()
    if it % 25 == 0:
        print("update", it, "loss", round(total, 4))
model.eval()
with torch.no_grad():
    print("final loss", F.cross_entropy(model(Xv), Yv).item())
