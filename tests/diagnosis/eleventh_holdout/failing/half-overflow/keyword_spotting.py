"""Keyword spotting on log-mel-like patches; bfloat16 autocast, float16 statistics pooling before the classifier.

Cause: half-overflow
Fails: the loss is not finite from backward call 65 on (counted from 0, of 150); the final value is nan
"""
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class StatsPool(nn.Module):
    def forward(self, h):
        mean = h.mean(-1)
        h = h.half()  # fix: h = h.float()
        power = (h * h).sum(-1)
        return torch.cat([mean.float(), torch.log1p(power).float()], 1)


class KWS(nn.Module):
    def __init__(self, n_mel=20, c=32, n_cls=6):
        super().__init__()
        self.front = nn.Conv1d(n_mel, c, 5, padding=2)
        self.mid = nn.Conv1d(c, c, 3, padding=1)
        self.pool = StatsPool()
        self.norm = nn.LayerNorm(2 * c)
        self.cls = nn.Linear(2 * c, n_cls)

    def forward(self, x):
        h = F.relu(self.front(x))
        h = F.relu(self.mid(h))
        return self.cls(self.norm(self.pool(h)))


def speech(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 6, (n,), generator=g)
    x = 20 + 18 * torch.randn(n, 20, 50, generator=g)
    for i, k in enumerate(y.tolist()):
        s = int(torch.randint(0, 30, (1,), generator=g))
        x[i, 3 * k:3 * k + 3, s:s + 20] += 40
    return TensorDataset(x, y)


class Runner:
    def __init__(self):
        torch.manual_seed(6)
        self.net = KWS()
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=2e-3)
        self.train = DataLoader(speech(960, 1), 32, shuffle=True)
        self.val = DataLoader(speech(192, 2), 64)

    def loss(self, x, y):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = self.net(x)
        return F.cross_entropy(out.float(), y, label_smoothing=0.05)

    def fit(self, epochs=5):
        for e in range(epochs):
            for x, y in self.train:
                l = self.loss(x, y)
                self.opt.zero_grad()
                l.backward()
                self.opt.step()
            print("epoch", e, "val", self.validate())

    @torch.no_grad()
    def validate(self):
        return sum(self.loss(x, y).item() for x, y in self.val) / len(self.val)


if __name__ == "__main__":
    r = Runner()
    r.fit()
    print("final loss", r.validate())
