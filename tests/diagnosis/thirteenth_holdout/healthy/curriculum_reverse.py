"""Sequence reversal with a GRU encoder-decoder and a length curriculum."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)
V, BOS = 8, 8


class EncDec(nn.Module):
    def __init__(self, h=80):
        super().__init__()
        self.emb = nn.Embedding(V + 1, 24)
        self.enc = nn.GRU(24, h, batch_first=True)
        self.dec = nn.GRU(24, h, batch_first=True)
        self.out = nn.Linear(h, V)

    def forward(self, x):
        y = x.flip(1)
        _, h = self.enc(self.emb(x))
        tin = torch.cat([torch.full_like(y[:, :1], BOS), y[:, :-1]], 1)
        d, _ = self.dec(self.emb(tin), h)
        return F.cross_entropy(self.out(d).transpose(1, 2), y)


net = EncDec()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
stages = [(2, 120), (3, 150), (4, 200), (5, 250)]
for length, steps in stages:
    for k in range(steps):
        x = torch.randint(0, V, (48, length))
        loss = net(x)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        if k in (0, steps - 1):
            print(f"length {length} step {k} loss {loss.item():.4f}")
print("final loss", loss.item())
