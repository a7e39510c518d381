"""GRU encoder-decoder with attention translating a toy grammar (SVO -> reordered VSO with agreement), scheduled sampling."""
import random, math
import torch, torch.nn as nn, torch.nn.functional as F
from dataclasses import dataclass

@dataclass
class Cfg:
    steps: int = 5000
    batch: int = 16
    hidden: int = 48
    lr: float = 2e-3
    k: float = 700.0       # inverse sigmoid decay of teacher forcing
    seed: int = 5

cfg = Cfg()
random.seed(cfg.seed); torch.manual_seed(cfg.seed)
PAD, BOS, EOS = 0, 1, 2
N, VB, AD = 14, 10, 8
SRC = 3 + N + VB + AD + 2       # + plural marker + negation
TGT = 3 + N * 2 + VB * 2 + AD + 1

def pair():
    def np_():
        n, pl = random.randrange(N), random.random() < .4
        adjs = [random.randrange(AD) for _ in range(random.choice([0, 0, 1, 2]))]
        src = [3 + N + VB + x for x in adjs] + [3 + n] + ([3 + N + VB + AD] if pl else [])
        tgt = [3 + n + (N if pl else 0)] + [3 + 2 * N + 2 * VB + x for x in reversed(adjs)]
        return src, tgt, pl
    s, ts, pl = np_(); o, to, _ = np_()
    v, neg = random.randrange(VB), random.random() < .25
    src = s + ([3 + N + VB + AD + 1] if neg else []) + [3 + N + v] + o
    tgt = ([TGT - 1] if neg else []) + [3 + 2 * N + v + (VB if pl else 0)] + ts + to
    return src + [EOS], tgt + [EOS]

def batch(n):
    ps = [pair() for _ in range(n)]
    ls, lt = max(len(p[0]) for p in ps), max(len(p[1]) for p in ps)
    f = lambda x, l: x + [PAD] * (l - len(x))
    return torch.tensor([f(p[0], ls) for p in ps]), torch.tensor([f(p[1], lt) for p in ps])

class Encoder(nn.Module):
    def __init__(s, h):
        super().__init__(); s.e = nn.Embedding(SRC, h, padding_idx=PAD); s.g = nn.GRU(h, h, batch_first=True)
    def forward(s, x): return s.g(s.e(x))

class Decoder(nn.Module):
    def __init__(s, h):
        super().__init__()
        s.e = nn.Embedding(TGT, h, padding_idx=PAD); s.g = nn.GRUCell(2 * h, h)
        s.q = nn.Linear(h, h, bias=False); s.o = nn.Linear(2 * h, TGT)
    def step(s, tok, h, mem, mask):
        w = (mem @ s.q(h).unsqueeze(-1)).squeeze(-1).masked_fill(mask, -1e9).softmax(-1)
        ctx = (w.unsqueeze(1) @ mem).squeeze(1)
        h = s.g(torch.cat([s.e(tok), ctx], -1), h)
        return s.o(torch.cat([h, ctx], -1)), h

enc, dec = Encoder(cfg.hidden), Decoder(cfg.hidden)
params = list(enc.parameters()) + list(dec.parameters())
opt = torch.optim.Adamax(params, lr=cfg.lr * 2)
running, hist = None, []
for step in range(cfg.steps):
    eps = max(.35, cfg.k / (cfg.k + math.exp(step / cfg.k)))
    src, tgt = batch(cfg.batch)
    mem, h = enc(src); h = h[0]; mask = src == PAD
    tok = torch.full((len(src),), BOS); loss = 0.
    for t in range(tgt.size(1)):
        lg, h = dec.step(tok, h, mem, mask)
        loss = loss + F.cross_entropy(lg, tgt[:, t], ignore_index=PAD, reduction="sum")
        tok = tgt[:, t] if random.random() < eps else lg.argmax(-1).detach()
    loss = loss / (tgt != PAD).sum()
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(params, 2.0)
    opt.step()
    hist.append(loss.item())
    running = loss.item() if running is None else .98 * running + .02 * loss.item()
    if step % 500 == 0: print(f"step {step} teacher {eps:.2f} loss {running:.4f}")
print(f"final loss {sum(hist[-300:])/300:.5f}")
