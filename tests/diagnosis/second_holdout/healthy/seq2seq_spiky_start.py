"""GRU translator with teacher forcing and scheduled sampling; the loss starts far too high, then falls."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(4)
torch.manual_seed(4)
V, L = 14, 6
table = torch.randperm(V - 1) + 1


class Seq2Seq(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.es, self.et = nn.Embedding(V, 32), nn.Embedding(V, 32)
        self.enc = nn.GRU(32, h, batch_first=True)
        self.dec = nn.GRUCell(32 + h, h)
        self.out = nn.Linear(h, V)
        nn.init.normal_(self.out.weight, std=1.5)

    def forward(self, src, tgt, force):
        mem, h = self.enc(self.es(src))
        h = h[0]
        tok = torch.zeros(len(src), dtype=torch.long)
        logits = []
        for t in range(L):
            w = (mem @ h.unsqueeze(-1) / 96 ** 0.5).softmax(1)
            h = self.dec(torch.cat([self.et(tok), (w * mem).sum(1)], 1), h)
            logits.append(self.out(h))
            tok = tgt[:, t] if random.random() < force else logits[-1].argmax(1)
        return torch.stack(logits, 1)


net = Seq2Seq()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
ema = None
for step in range(600):
    src = torch.randint(1, V, (32, L))
    tgt = table[src - 1].roll(1, 1)
    logits = net(src, tgt, force=max(0.3, 1 - step / 500))
    loss = F.cross_entropy(logits.flatten(0, 1), tgt.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    ema = loss.item() if ema is None else 0.95 * ema + 0.05 * loss.item()
    if step % 60 == 0:
        print(step, loss.item())
print("final loss", ema)
