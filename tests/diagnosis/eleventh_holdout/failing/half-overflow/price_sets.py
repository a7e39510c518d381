"""Set transformer predicting the maximum spread of padded price sets; half-precision scores with an additive padding mask.

Cause: half-overflow
Fails: the loss is not finite from backward call 0 on (counted from 0, of 304); the final value is nan
"""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Sets(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.items = []
        for _ in range(n):
            k = int(torch.randint(1, 9, (1,), generator=g)) if torch.rand(1, generator=g) > 0.01 else 0
            v = torch.randn(k, generator=g)
            self.items.append((v, v.max() - v.min() if k else torch.tensor(0.0)))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(rows):
    x, pad = torch.zeros(len(rows), 8), torch.ones(len(rows), 8)
    for i, (v, _) in enumerate(rows):
        x[i, :len(v)], pad[i, :len(v)] = v, 0
    return x, pad, torch.stack([y for _, y in rows])


class Pool(nn.Module):
    NEG = -1e9  # fix: NEG = -1e4

    def __init__(self, d=32, heads=4):
        super().__init__()
        self.q = nn.Parameter(torch.randn(heads, d // heads))
        self.k, self.v, self.heads = nn.Linear(d, d), nn.Linear(d, d), heads

    def forward(self, h, pad):
        B, T, D = h.shape
        k, v = (f(h).view(B, T, self.heads, -1) for f in (self.k, self.v))
        score = torch.einsum("bthd,hd->bht", k, self.q).half() / (D // self.heads) ** 0.5
        score = score + (pad * self.NEG).half()[:, None]
        return torch.einsum("bht,bthd->bhd", score.softmax(-1).float(), v).flatten(1)


class Net(nn.Module):
    def __init__(self, d=32):
        super().__init__()
        self.e = nn.Sequential(nn.Linear(1, d), nn.ReLU(), nn.Linear(d, d))
        self.pool, self.o = Pool(d), nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))

    def forward(self, x, pad):
        return self.o(self.pool(self.e(x[..., None]), pad)).squeeze(-1)


torch.manual_seed(19)
loader = DataLoader(Sets(1200, 20), 32, shuffle=True, collate_fn=collate)
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
for epoch in range(8):
    total = 0.0
    for x, pad, y in loader:
        loss = nn.functional.mse_loss(net(x, pad), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() / len(loader)
    print("epoch", epoch, total)
print("final loss", total)
