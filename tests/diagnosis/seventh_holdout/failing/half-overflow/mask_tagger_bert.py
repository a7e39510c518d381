"""BERT-like named entity tagger trained under float16 autocast on the CPU.

Cause: half-overflow
Fails: the additive padding mask -1e9 is cast to float16, becomes -inf, and 0 * -inf = nan; every loss is nan and the scaler skips every step
"""
import math
import random
from dataclasses import dataclass
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class BertConfig:
    vocab_size: int = 200
    hidden_size: int = 48
    layers: int = 2
    heads: int = 4
    max_len: int = 12
    num_labels: int = 5
    mask_value: float = -1e9  # fix: mask_value: float = -1e4


class SelfAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.h = c.heads
        self.q, self.k, self.v, self.o = (nn.Linear(c.hidden_size, c.hidden_size) for _ in range(4))

    def forward(self, x, ext):
        B, T, D = x.shape
        sp = lambda z: z.view(B, T, self.h, -1).transpose(1, 2)
        q, k, v = sp(self.q(x)), sp(self.k(x)), sp(self.v(x))
        s = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + ext
        return self.o((s.softmax(-1).to(v.dtype) @ v).transpose(1, 2).reshape(B, T, D))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a = SelfAttention(c)
        self.n1, self.n2 = nn.LayerNorm(c.hidden_size), nn.LayerNorm(c.hidden_size)
        self.f = nn.Sequential(nn.Linear(c.hidden_size, 4 * c.hidden_size), nn.GELU(),
                               nn.Linear(4 * c.hidden_size, c.hidden_size))

    def forward(self, x, ext):
        x = self.n1(x + self.a(x, ext))
        return self.n2(x + self.f(x))


class Tagger(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.tok = nn.Embedding(c.vocab_size, c.hidden_size)
        self.pos = nn.Embedding(c.max_len, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.cls = nn.Linear(c.hidden_size, c.num_labels)

    def forward(self, ids, attention_mask):
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        neg = torch.tensor(self.c.mask_value, dtype=dtype)
        ext = (1 - attention_mask)[:, None, None].to(dtype) * neg
        x = self.tok(ids) + self.pos(torch.arange(ids.shape[1]))
        for l in self.layers:
            x = l(x, ext)
        return self.cls(x)


def make(n, c):
    out = []
    for _ in range(n):
        L = random.randint(4, c.max_len)
        w = [random.randint(1, c.vocab_size - 1) for _ in range(L)]
        # label of a word depends on its class and whether the one before is a "trigger"
        y = [(a % 4) + 1 if (i and w[i - 1] % 3 == 0) else 0 for i, a in enumerate(w)]
        out.append((w, y))
    return out


def collate(rows):
    T = max(len(w) for w, _ in rows)
    ids = torch.tensor([w + [0] * (T - len(w)) for w, _ in rows])
    lab = torch.tensor([y + [-100] * (T - len(y)) for _, y in rows])
    return ids, (ids > 0).float(), lab


def main():
    random.seed(1); torch.manual_seed(1)
    c = BertConfig()
    train = make(2000, c)
    model = Tagger(c)
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3, eps=1e-6)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    hist = []
    for epoch in range(4):
        random.shuffle(train)
        for i in range(0, len(train), 32):
            ids, am, lab = collate(train[i:i + 32])
            with torch.autocast("cpu", dtype=torch.float16):
                logits = model(ids, am)
            loss = F.cross_entropy(logits.float().flatten(0, 1), lab.flatten(), ignore_index=-100)
            opt.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(opt)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(opt)
            scaler.update()
            hist.append(loss.item())
        print(f"epoch {epoch} loss {sum(hist[-60:]) / 60:.4f} scale {scaler.get_scale():g}")
    print("final loss", sum(hist[-40:]) / 40)


if __name__ == "__main__":
    main()
