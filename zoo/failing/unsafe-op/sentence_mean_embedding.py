"""Which module does a docstring line come from? Mean of word vectors over the non-padding words.

Cause: unsafe-op
Fails: the loss is not finite from step 49 on
First bad: step 49, forward, div
"""

import json
import random
import re
import statistics

import torch
import torch.nn.functional as F

SOURCES = [random, statistics, json]
PAD, LENGTH = 0, 12

lines = []
for label, module in enumerate(SOURCES):
    text = module.__doc__ + "".join(getattr(module, n).__doc__ or "" for n in module.__all__)
    lines += [(re.findall(r"[a-z]{3,}", line.lower()), label) for line in text.splitlines() if line.strip()]
vocabulary = {w: i + 1 for i, w in enumerate(sorted({w for words, _ in lines for w in words}))}

torch.manual_seed(0)
rng = random.Random(0)
rng.shuffle(lines)
lines.sort(key=lambda item: not item[0])
split = len(lines) - sum(not words for words, _ in lines)
table = (0.1 * torch.randn(len(vocabulary) + 1, 24)).requires_grad_()
hidden = (torch.randn(24, 24) / 24**0.5).requires_grad_()
out = (torch.randn(24, 3) / 24**0.5).requires_grad_()
optimizer = torch.optim.Adam([table, hidden, out], lr=5e-3)


def encode(words):
    ids = [vocabulary[w] for w in words[:LENGTH]]
    return ids + [PAD] * (LENGTH - len(ids))


def logits(ids):
    mask = (ids != PAD).float().unsqueeze(-1)
    mean = (table[ids] * mask).sum(1) / mask.sum(1)  # fix: mean = (table[ids] * mask).sum(1) / mask.sum(1).clamp(min=1)
    return torch.tanh(mean @ hidden) @ out


losses = []
for step in range(250):
    pool = lines if step % 50 == 49 else lines[:split]
    batch = rng.sample(pool, 32)
    ids = torch.tensor([encode(words) for words, _ in batch])
    labels = torch.tensor([label for _, label in batch])
    loss = F.cross_entropy(logits(ids), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
