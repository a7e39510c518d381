"""Encoder-decoder transformer that reverses and shifts digit strings; micro-batches with gradient accumulation.

Cause: loss-scale
Fails: the loss is not finite from backward call 192 on (counted from 0, of 1760); the final value is nan
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
VOCAB, LEN, D, ACCUM, UPDATES = 14, 7, 32, 16, 110
BOS = 0


class Attn(nn.Module):
    def __init__(self, d, heads=4):
        super().__init__()
        self.h = heads
        self.q, self.kv, self.o = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)

    def forward(self, x, mem, causal=False):
        B, T, C = x.shape
        q = self.q(x).view(B, T, self.h, -1).transpose(1, 2)
        k, v = self.kv(mem).view(B, mem.shape[1], 2, self.h, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.o(y.transpose(1, 2).reshape(B, T, C))


class Layer(nn.Module):
    def __init__(self, d, cross):
        super().__init__()
        self.sa, self.ca = Attn(d), Attn(d) if cross else None
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.n1, self.n2, self.n3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x, mem=None):
        h = self.n1(x)
        x = x + self.sa(h, h, causal=mem is not None)
        if mem is not None:
            x = x + self.ca(self.n2(x), mem)
        return x + self.ff(self.n3(x))


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, D)
        self.pos = nn.Parameter(0.1 * torch.randn(LEN, D))
        self.enc, self.dec = Layer(D, False), Layer(D, True)
        self.norm, self.out = nn.LayerNorm(D), nn.Linear(D, VOCAB)

    def forward(self, src, tgt_in):
        mem = self.enc(self.emb(src) + self.pos)
        return self.out(self.norm(self.dec(self.emb(tgt_in) + self.pos, mem)))


def micro_batch(n=8):
    src = torch.randint(1, VOCAB, (n, LEN))
    tgt = src.flip(1) % (VOCAB - 1) + 1
    return src, torch.cat([torch.full((n, 1), BOS), tgt[:, :-1]], 1), tgt


model = Seq2Seq()
opt = torch.optim.SGD(model.parameters(), lr=0.35, momentum=0.9, nesterov=True)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1, (s + 1) / 15) * 0.5 * (1 + math.cos(math.pi * s / UPDATES)))
window = []
for up in range(UPDATES):
    opt.zero_grad(set_to_none=True)
    running = 0.0
    for _ in range(ACCUM):
        src, tin, tgt = micro_batch()
        nll = F.cross_entropy(model(src, tin).flatten(0, 1), tgt.flatten(), label_smoothing=0.02)
        running += nll.item() / ACCUM
        nll.backward()  # fix: (nll / ACCUM).backward()
    opt.step()
    sched.step()
    window.append(running)
    if up % 20 == 0:
        print(f"update {up} loss {running:.4f}")
print("final loss", sum(window[-10:]) / 10)
