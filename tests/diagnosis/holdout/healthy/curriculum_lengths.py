"""Seq2seq sorting with teacher forcing and a curriculum: the loss steps up each time longer lists come in."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(51)
BOS, V = 10, 11


class Sorter(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        self.enc = nn.GRU(d, d, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * d, d)
        self.cell = nn.GRU(d, d, batch_first=True)
        self.out = nn.Linear(d, V)

    def forward(self, src, tgt):
        _, h = self.enc(self.emb(src))
        h = torch.tanh(self.bridge(torch.cat([h[0], h[1]], -1))).unsqueeze(0)
        dec_in = torch.cat([torch.full_like(tgt[:, :1], BOS), tgt[:, :-1]], 1)
        return self.out(self.cell(self.emb(dec_in), h)[0])


model = Sorter()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
losses = []
for step in range(270):
    length = 2 + step // 90 * 2
    src = torch.randint(0, 10, (48, length))
    tgt = src.sort(1).values
    loss = F.cross_entropy(model(src, tgt).flatten(0, 1), tgt.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
