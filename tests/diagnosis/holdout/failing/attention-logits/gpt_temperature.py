"""A nanoGPT-like causal model that copies a random string, hand-written attention with a softmax temperature.

Cause: attention-logits
Fails: the temperature lifts scores to hundreds and training drives them on into the thousands, attention is one-hot and the copy is never learnt
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.nn import functional as F


@dataclass
class GPTConfig:
    block_size: int = 15
    vocab_size: int = 16
    n_layer: int = 2
    n_head: int = 2
    n_embd: int = 48
    attn_temperature: float = 0.01  # fix: attn_temperature: float = 1.0


class CausalSelfAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)
        self.n_head = config.n_head
        self.scale = config.attn_temperature * math.sqrt(config.n_embd // config.n_head)
        self.register_buffer("bias", torch.tril(torch.ones(config.block_size, config.block_size)).bool())

    def forward(self, x):
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(C, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        att = (q @ k.transpose(-2, -1)) / self.scale
        att = att.masked_fill(~self.bias[:T, :T], float("-inf"))
        y = F.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(config.n_embd), nn.LayerNorm(config.n_embd)
        self.attn = CausalSelfAttention(config)
        self.fc = nn.Linear(config.n_embd, 2 * config.n_embd)
        self.proj = nn.Linear(2 * config.n_embd, config.n_embd)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.h = nn.ModuleList([Block(config) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)

    def forward(self, idx, targets):
        x = self.wte(idx) + self.wpe.weight[: idx.size(1)]
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.reshape(-1), ignore_index=-1)


def get_batch(n=32, span=7):
    head = torch.randint(1, 16, (n, span))
    seq = torch.cat([head, torch.zeros(n, 1, dtype=torch.long), head], 1)
    x, y = seq[:, :-1], seq[:, 1:].clone()
    y[:, :span] = -1
    return x, y


torch.manual_seed(1337)
model = GPT(GPTConfig())
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
for it in range(260):
    loss = model(*get_batch())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if it % 60 == 0:
        print(f"iter {it}: loss {loss.item():.4f}")
print("final loss", sum(losses[-10:]) / 10)
