"""Tagger with a per-token importance weight that is tiny in the warm-up phase and one afterwards, AdamW.

Cause: stale-second-moment
Fails: v remembers the gradients of the warm-up phase, when the weight goes to one the update RMS is far above lr and the tagger is wrecked
"""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

BETAS = (0.0, 0.9999)  # fix: BETAS = (0.9, 0.95)
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float, default=5e-3)
p.add_argument("--betas", type=float, nargs=2, default=BETAS)
p.add_argument("--steps", type=int, default=425)
p.add_argument("--ramp-at", type=int, default=380)
args = p.parse_args()
torch.manual_seed(33)


class Tagger(nn.Module):
    def __init__(self, vocab=40, tags=6, dim=48):
        super().__init__()
        self.emb = nn.Embedding(vocab, dim)
        self.conv1 = nn.Conv1d(dim, 96, 3, padding=1)
        self.conv2 = nn.Conv1d(96, 96, 3, padding=1)
        self.conv3 = nn.Conv1d(96, 96, 3, padding=1)
        self.out = nn.Linear(96, tags)

    def forward(self, tok):
        h = self.emb(tok).transpose(1, 2)
        for c in (self.conv1, self.conv2, self.conv3):
            h = F.gelu(c(h))
        return self.out(h.transpose(1, 2))


lexicon = torch.randint(0, 6, (40,))


def sentences(n=24, length=16):
    tok = torch.randint(0, 40, (n, length))
    prev = torch.roll(lexicon[tok], 1, dims=1)
    tag = (lexicon[tok] + (prev % 2)) % 6
    noise = torch.rand(n, length) < 0.05
    return tok, torch.where(noise, torch.randint(0, 6, (n, length)), tag)


model = Tagger()
opt = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=args.betas, eps=1e-12)
losses = []
for step in range(args.steps):
    weight = 0.001 if step < args.ramp_at else 1.0
    tok, tag = sentences()
    ce = F.cross_entropy(model(tok).flatten(0, 1), tag.flatten())
    opt.zero_grad()
    (weight * ce).backward()
    opt.step()
    losses.append(ce.item())
    if step % 70 == 0:
        print(f"step {step} ce {ce.item():.4f}")
print("final loss", sum(losses[-10:]) / 10)
