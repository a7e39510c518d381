"""A causal language model of own attention with minus infinity in its mask and padded rows; the head starts at zero."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Settings:
    words: int = 26
    width: int = 48
    heads: int = 4
    length: int = 20
    steps: int = 260


class Layer(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.qkv, self.proj = nn.Linear(s.width, 3 * s.width), nn.Linear(s.width, s.width)
        self.norm1, self.norm2 = nn.LayerNorm(s.width), nn.LayerNorm(s.width)
        self.mlp = nn.Sequential(nn.Linear(s.width, 96), nn.GELU(), nn.Linear(96, s.width))

    def forward(self, x, mask):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.s.heads, -1).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5 + mask
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.mlp(self.norm2(x))


class LM(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.word, self.place = nn.Embedding(s.words, s.width), nn.Embedding(s.length, s.width)
        self.layers = nn.ModuleList([Layer(s), Layer(s)])
        self.head = nn.Linear(s.width, s.words)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mask", torch.full((s.length, s.length), float("-inf")).triu(1))

    def forward(self, text):
        x = self.word(text) + self.place.weight
        for layer in self.layers:
            x = layer(x, self.mask)
        return self.head(x)


s = Settings()
torch.manual_seed(74)
rule = torch.stack([torch.randperm(s.words - 1)[:2] + 1 for _ in range(s.words)])


def texts(count):
    at = torch.randint(1, s.words, (count,))
    out = [at]
    for _ in range(s.length):
        at = rule[at, (torch.rand(count) < 0.2).long()]
        out.append(at)
    text = torch.stack(out, 1)
    ends = torch.randint(8, s.length + 1, (count, 1))
    return text.masked_fill(torch.arange(s.length + 1) > ends, 0)


model = LM(s)
decayed = [p for p in model.parameters() if p.dim() > 1]
others = [p for p in model.parameters() if p.dim() == 1]
optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=3e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 30))
log = []
for step in range(s.steps):
    text = texts(16)
    loss = F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten(), ignore_index=0)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), 0.5)
    optimizer.step()
    scheduler.step()
    log.append(loss.item())
    if step % 40 == 0:
        print(step, log[-1])
print("final loss", sum(log[-20:]) / 20)
