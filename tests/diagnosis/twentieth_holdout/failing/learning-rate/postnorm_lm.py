"""Word-level language model on grammar-generated sentences with a post-norm transformer.

Cause: learning-rate
Fails: the loss never gets below the unigram entropy
"""
import math
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(0)
torch.manual_seed(0)

DET = ["the", "a", "every", "some"]
NOUN = "dog cat farmer bird child teacher driver doctor nurse pilot".split()
VERB = {"dog": "barks", "cat": "sleeps", "farmer": "digs", "bird": "sings", "child": "plays", "teacher": "talks",
        "driver": "waits", "doctor": "reads", "nurse": "helps", "pilot": "flies"}
PLACE = "garden house school street barn park".split()


def sentence():
    n = random.choice(NOUN)
    m = random.choice(NOUN)
    return f"{random.choice(DET)} {n} near {random.choice(DET)} {m} {VERB[n]} in the {random.choice(PLACE)} while {random.choice(DET)} {m} {VERB[m]} .".split()


words = [w for _ in range(6000) for w in sentence()]
itos = sorted(set(words))
stoi = {w: i for i, w in enumerate(itos)}
data = torch.tensor([stoi[w] for w in words])
cut = int(len(data) * 0.9)


class Model(nn.Module):
    def __init__(self, V, d=64, heads=4, layers=5, ctx=34):
        super().__init__()
        self.tok = nn.Embedding(V, d)
        self.pos = nn.Parameter(torch.randn(ctx, d) * 0.02)
        block = nn.TransformerEncoderLayer(d, heads, 4 * d, dropout=0.0, batch_first=True, norm_first=False)
        self.enc = nn.TransformerEncoder(block, layers)
        self.head = nn.Linear(d, V)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(ctx))

    def forward(self, x):
        h = self.tok(x) + self.pos[: x.shape[1]]
        return self.head(self.enc(h, mask=self.mask[: x.shape[1], : x.shape[1]], is_causal=True))


def batch(lo, hi, n=32, L=24):
    s = torch.randint(lo, hi - L - 1, (n,))
    b = torch.stack([data[i:i + L + 1] for i in s])
    return b[:, :-1], b[:, 1:]


model = Model(len(itos))
opt = torch.optim.Adam(model.parameters(), lr=2e-2, betas=(0.9, 0.98))  # fix: opt = torch.optim.Adam(model.parameters(), lr=5e-4, betas=(0.9, 0.98))
STEPS = 160
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, STEPS)
for i in range(STEPS):
    x, y = batch(0, cut)
    loss = F.cross_entropy(model(x).reshape(-1, len(itos)), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if i % 30 == 0:
        print(i, f"{loss.item():.3f}", f"ppl {math.exp(min(loss.item(), 20)):.1f}")
model.eval()
with torch.no_grad():
    x, y = batch(cut, len(data), 100)
    print("final loss", F.cross_entropy(model(x).reshape(-1, len(itos)), y.reshape(-1)).item())
