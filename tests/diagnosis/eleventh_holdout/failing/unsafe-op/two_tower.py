"""Two-tower retrieval: user history tower against item tower, in-batch softmax with learnable temperature.

Cause: unsafe-op
Fails: the loss is not finite from backward call 45 on (counted from 0, of 600); the final value is nan
"""
import random
import torch
from torch import nn
import torch.nn.functional as F

N_ITEMS, N_TOPICS, PAD = 200, 10, 0


def make_log(n, seed):
    rnd = random.Random(seed)
    rows = []
    for _ in range(n):
        topic = rnd.randrange(N_TOPICS)
        pool = [i for i in range(1, N_ITEMS) if i % N_TOPICS == topic]
        k = 0 if rnd.random() < 0.002 else rnd.randint(2, 6)
        rows.append(([rnd.choice(pool) for _ in range(k)], rnd.choice(pool)))
    return rows


def collate(rows):
    m = max(1, max(len(h) for h, _ in rows))
    hist = torch.full((len(rows), m), PAD)
    for i, (h, _) in enumerate(rows):
        hist[i, :len(h)] = torch.tensor(h, dtype=torch.long)
    return hist, torch.tensor([t for _, t in rows])


class Tower(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.emb = nn.Embedding(N_ITEMS, dim, padding_idx=PAD)
        self.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, ids):
        e = self.emb(ids)
        if e.ndim == 3:
            e = e.sum(1)
        z = self.proj(e)
        return z / z.norm(dim=-1, keepdim=True)  # fix: return F.normalize(z, dim=-1, eps=1e-6)


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = Tower(), Tower()
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, hist, item):
        s = self.user(hist) @ self.item(item).T * self.log_scale.exp().clamp(max=50)
        lbl = torch.arange(len(item))
        return 0.5 * (F.cross_entropy(s, lbl) + F.cross_entropy(s.T, lbl))


def main():
    torch.manual_seed(0)
    rows = make_log(1600, 31)
    loader = torch.utils.data.DataLoader(rows, batch_size=16, shuffle=True, collate_fn=collate, drop_last=True)
    model = TwoTower()
    opt = torch.optim.Adam([
        {"params": [model.user.emb.weight, model.item.emb.weight], "lr": 1e-2},
        {"params": [model.user.proj.weight, model.item.proj.weight, model.log_scale], "lr": 2e-3}])
    losses = []
    for epoch in range(6):
        for hist, item in loader:
            loss = model(hist, item)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print("epoch", epoch, "loss", sum(losses[-100:]) / 100)
    print("final loss", sum(losses[-100:]) / 100)


main()
