"""Seq2seq with hand-written attention: reverse a string; padding is masked with -inf.

Looks nasty: -inf scores on purpose, a warm-up to a high rate, heavy weight decay.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(30)
V, MAXLEN, D = 11, 8, 64      # 0 is padding


def pairs(n=48):
    ln = torch.randint(3, MAXLEN + 1, (n,))
    src, tgt = torch.zeros(n, MAXLEN, dtype=torch.long), torch.zeros(n, MAXLEN, dtype=torch.long)
    for i, l in enumerate(ln.tolist()):
        s = torch.randint(1, V, (l,))
        src[i, :l], tgt[i, :l] = s, s.flip(0)
    return src, tgt


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(D, D) for _ in range(3))

    def forward(self, a, b, mask):
        s = self.q(a) @ self.k(b).transpose(1, 2) / math.sqrt(D)
        return s.masked_fill(mask, float("-inf")).softmax(-1) @ self.v(b)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.pe, self.pd = nn.Embedding(V, D), nn.Embedding(MAXLEN, D), nn.Embedding(MAXLEN, D)
        self.self_att, self.cross = Attention(), Attention()
        self.n1, self.n2, self.n3 = (nn.LayerNorm(D) for _ in range(3))
        self.ff = nn.Sequential(nn.Linear(D, 128), nn.ReLU(), nn.Linear(128, D))
        self.out = nn.Linear(D, V)

    def forward(self, src, prev):
        pos = torch.arange(MAXLEN)
        length = (src > 0).sum(1)
        enc = self.emb(src) + self.pe((length[:, None] - 1 - pos).clamp(min=0))
        pad = (src == 0)[:, None, :]
        x = self.emb(prev) + self.pd(pos)
        future = torch.triu(torch.ones(MAXLEN, MAXLEN, dtype=torch.bool), 1)[None]
        x = self.n1(x + self.self_att(x, x, future))
        x = self.n2(x + self.cross(x, enc, pad))
        return self.out(self.n3(x + self.ff(x)))


model = Model()
decay = [p for p in model.parameters() if p.ndim > 1]
plain = [p for p in model.parameters() if p.ndim < 2]
opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.3}, {"params": plain, "weight_decay": 0.0}], lr=2e-3)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min((s + 1) / 60, (60 / (s + 1)) ** 0.5))
hist = []
for step in range(500):
    src, tgt = pairs()
    prev = torch.cat([torch.zeros(len(tgt), 1, dtype=torch.long), tgt[:, :-1]], 1)
    logp = model(src, prev).log_softmax(-1)
    keep = tgt > 0
    loss = -logp.gather(2, tgt[..., None])[..., 0][keep].mean()
    opt.zero_grad(); loss.backward(); opt.step(); sched.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print("step", step, "loss", loss.item())
print("final loss", sum(hist[-40:]) / 40)
