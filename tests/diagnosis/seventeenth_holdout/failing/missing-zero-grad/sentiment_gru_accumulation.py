"""Trains a GRU sentiment classifier on synthetic reviews with gradient accumulation over micro-batches.
Cause: missing-zero-grad
Fails: the loss climbs above its start (0.69) within eighty steps and keeps swinging up into the thousands.
"""
import torch
import torch.nn as nn

torch.manual_seed(23)
V, L = 120, 20
polarity = torch.zeros(V)
polarity[10:30], polarity[30:50] = 1.0, -1.0


def reviews(n):
    ids = torch.randint(10, V, (n, L))
    flip = torch.rand(n, L) < 0.08
    ids[flip] = 5
    sign = torch.ones(n)
    score = torch.zeros(n)
    for k in range(L):
        score += polarity[ids[:, k]] * sign
        sign = torch.where(ids[:, k] == 5, -torch.ones(n), torch.ones(n))
    return ids, (score + 0.1 * torch.randn(n) > 0).float()


class GRUSent(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 24)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, ids):
        o, _ = self.gru(self.emb(ids))
        return self.fc(o.mean(1)).squeeze(1)


net = GRUSent()
opt = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
bce = nn.BCEWithLogitsLoss()
ACC = 2
hist = []
opt.zero_grad()
for i in range(600):
    ids, y = reviews(24)
    loss = bce(net(ids), y)
    (loss / ACC).backward()
    if (i + 1) % ACC == 0:
        opt.step()  # fix: opt.step(); opt.zero_grad()
    hist.append(loss.item())
    if i % 80 == 0:
        print(i, round(sum(hist[-20:]) / len(hist[-20:]), 4))
print("final loss", round(sum(hist[-40:]) / 40, 4))
