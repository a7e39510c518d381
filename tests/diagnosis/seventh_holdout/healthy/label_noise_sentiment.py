"""Sentiment with 30 percent flipped training labels, attention pooling; train loss can not go under about 0.61, clean validation does."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import Dataset, DataLoader


class Reviews(Dataset):
    def __init__(self, n, seed, flip):
        g = torch.Generator().manual_seed(seed)
        gp = torch.Generator().manual_seed(0)
        pol = torch.randn(300, generator=gp)
        self.x, self.y = [], []
        for _ in range(n):
            L = int(torch.randint(6, 20, (1,), generator=g))
            w = torch.randint(1, 300, (L,), generator=g)
            lab = float(pol[w].sum() > 0)
            if torch.rand(1, generator=g) < flip:
                lab = 1 - lab
            self.x.append(w); self.y.append(lab)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def collate(b):
    x = nn.utils.rnn.pad_sequence([w for w, _ in b], batch_first=True)
    return x, torch.tensor([y for _, y in b])


class AttnPool(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.e = nn.Embedding(300, d, padding_idx=0)
        self.a = nn.Linear(d, 1)
        self.o = nn.Linear(d, 1)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        h = self.e(x)
        w = self.a(h).squeeze(-1).masked_fill(x == 0, float("-inf")).softmax(1)
        return self.o(self.drop((w.unsqueeze(-1) * h).sum(1))).squeeze(-1)


class Trainer:
    def __init__(self, model, lr):
        self.model, self.opt = model, torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-4)

    def epoch(self, loader):
        self.model.train()
        s = 0
        for x, y in loader:
            loss = F.binary_cross_entropy_with_logits(self.model(x), y)
            self.opt.zero_grad(); loss.backward(); self.opt.step()
            s += loss.item()
        return s / len(loader)

    @torch.no_grad()
    def test(self, loader):
        self.model.eval()
        r = [(F.binary_cross_entropy_with_logits(o, y).item(), ((o > 0) == (y > 0.5)).float().mean().item())
             for x, y in loader for o in [self.model(x)]]
        return [sum(c) / len(r) for c in zip(*r)]


def main():
    torch.manual_seed(5)
    tr = DataLoader(Reviews(6000, 1, 0.3), 24, shuffle=True, collate_fn=collate, generator=torch.Generator().manual_seed(9))
    va = DataLoader(Reviews(1000, 2, 0.0), 250, collate_fn=collate)
    T = Trainer(AttnPool(), 3e-3)
    for e in range(5):
        t = T.epoch(tr)
        v, acc = T.test(va)
        print(f"epoch {e} noisy train {t:.4f} clean val {v:.4f} acc {acc:.3f}")
    print("final loss", v)


main()
