"""Trains a GRU encoder-decoder with attention on a toy word-order translation task with momentum SGD.
Cause: loss-scale
Fails: the per-token loss jumps far above its start in the first tens of steps and ends above ln(V).
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)
V, L, H, PAD = 20, 7, 48, 0


def pairs(n):
    src = torch.randint(2, V, (n, L))
    lens = torch.randint(4, L + 1, (n,))
    tgt = src.clone()
    tgt[:, 0::2][:, :3], tgt[:, 1::2] = src[:, 1::2], src[:, 0::2][:, :3]
    dead = torch.arange(L)[None] >= lens[:, None]
    return src.masked_fill(dead, PAD), tgt.masked_fill(dead, PAD)


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.es, self.et = nn.Embedding(V, H), nn.Embedding(V, H)
        self.pos = nn.Parameter(torch.randn(L, H) * 0.5)
        self.enc = nn.GRU(H, H, batch_first=True, bidirectional=True)
        self.dec = nn.GRU(H, 2 * H, batch_first=True)
        self.out = nn.Linear(4 * H, V)

    def forward(self, s, t_in):
        e, _ = self.enc(self.es(s) + self.pos)
        d, _ = self.dec(self.et(t_in) + self.pos)
        w = torch.softmax(d @ e.transpose(1, 2) / (2 * H) ** 0.5, -1)
        return self.out(torch.cat([d, w @ e], -1))


net = Translator()
opt = torch.optim.SGD(net.parameters(), lr=0.15, momentum=0.9)
crit = nn.CrossEntropyLoss(ignore_index=PAD, reduction="sum")  # fix: crit = nn.CrossEntropyLoss(ignore_index=PAD, reduction="mean")
tail = []
for step in range(420):
    s, t = pairs(32)
    t_in = torch.cat([torch.ones(len(t), 1, dtype=torch.long), t[:, :-1]], 1)
    logits = net(s, t_in).reshape(-1, V)
    loss = crit(logits, t.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        tail.append(F.cross_entropy(logits, t.reshape(-1), ignore_index=PAD).item())
    if step % 70 == 0:
        print(step, round(tail[-1], 4))
print("final loss", round(sum(tail[-20:]) / 20, 4))
