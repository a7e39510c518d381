"""Character language model, deep post-norm transformer, made-up nursery text.

Cause: learning-rate
Fails: the loss sticks at the unigram entropy from the first steps on.
"""
from dataclasses import dataclass
import random
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    width: int = 64
    heads: int = 4
    depth: int = 10
    ctx: int = 32
    batch: int = 24
    steps: int = 330
    lr: float = 2e-3
    warmup: int = 0  # fix: warmup: int = 200
    seed: int = 3


cfg = Config()
torch.manual_seed(cfg.seed)
random.seed(cfg.seed)
subj = ["the cat", "a dog", "my aunt", "the baker", "one owl"]
verb = ["sees", "follows", "greets", "paints"]
obj = ["the moon", "a boat", "the river", "his hat", "an apple"]
text = " ".join(f"{random.choice(subj)} {random.choice(verb)} {random.choice(obj)}." for _ in range(3000))
chars = sorted(set(text))
data = torch.tensor([chars.index(c) for c in text])


class LM(nn.Module):
    def __init__(self, v):
        super().__init__()
        self.tok = nn.Embedding(v, cfg.width)
        self.pos = nn.Parameter(torch.randn(cfg.ctx, cfg.width) * 0.02)
        layer = nn.TransformerEncoderLayer(cfg.width, cfg.heads, 4 * cfg.width, dropout=0.0,
                                           batch_first=True, norm_first=False)
        self.body = nn.TransformerEncoder(layer, cfg.depth)
        for p in self.body.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        self.head = nn.Linear(cfg.width, v)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(cfg.ctx))

    def forward(self, x):
        return self.head(self.body(self.tok(x) + self.pos, mask=self.mask, is_causal=True))


model = LM(len(chars))
opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
sched = torch.optim.lr_scheduler.LambdaLR(
    opt, lambda s: min(1.0, (s + 1) / cfg.warmup) if cfg.warmup else 1.0)
avg = None
for step in range(cfg.steps):
    ix = torch.randint(0, len(data) - cfg.ctx - 1, (cfg.batch,))
    x = torch.stack([data[i:i + cfg.ctx] for i in ix])
    y = torch.stack([data[i + 1:i + cfg.ctx + 1] for i in ix])
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    avg = loss.item() if avg is None else 0.95 * avg + 0.05 * loss.item()
    if step % 50 == 0:
        print(f"step {step} loss {loss.item():.4f}")
print(f"final loss {avg:.4f}")
