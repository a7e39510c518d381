"""Toy translation: numbers written in invented words -> digits, encoder-decoder, Noam warm-up."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(1)
torch.manual_seed(1)
ones = "nul een twe dri vir fyf zes sev ach neg".split()
V = {w: i for i, w in enumerate(ones + ["tig", "<pad>"])}


def pair():
    n = random.randint(0, 9999)
    d = f"{n:04d}"
    words = []
    for k, c in enumerate(d):
        words.append(ones[int(c)])
        if k % 2 == 0:
            words.append("tig")
    return [V[w] for w in reversed(words)], [10] + [int(c) for c in d]


ps = [pair() for _ in range(4000)]
SRC, TGT = torch.tensor([p[0] for p in ps]), torch.tensor([p[1] for p in ps])


class Seq2Seq(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.se, self.te = nn.Embedding(12, d), nn.Embedding(11, d)
        self.sp, self.tp = nn.Parameter(torch.randn(6, d) * .1), nn.Parameter(torch.randn(4, d) * .1)
        self.tr = nn.Transformer(d, 4, 2, 2, 96, dropout=0.0, batch_first=True)
        self.out = nn.Linear(d, 10)

    def forward(self, s, t):
        m = nn.Transformer.generate_square_subsequent_mask(t.shape[1])
        return self.out(self.tr(self.se(s) + self.sp, self.te(t) + self.tp, tgt_mask=m, tgt_is_causal=True))


model = Seq2Seq()
opt = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
noam = lambda s: 48 ** -0.5 * min((s + 1) ** -0.5, (s + 1) * 150 ** -1.5) * 0.5
sch = torch.optim.lr_scheduler.LambdaLR(opt, noam)
for ep in range(9):
    tot = 0.0
    for b in torch.randperm(4000).split(64):
        lo = model(SRC[b], TGT[b, :-1])
        loss = F.cross_entropy(lo.flatten(0, 1), TGT[b, 1:].flatten(), label_smoothing=0.0)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sch.step()
        tot += loss.item() * len(b) / 4000
    print(f"epoch {ep} lr {sch.get_last_lr()[0]:.2e} loss {tot:.4f}")
print(f"final loss {tot:.4f}")
