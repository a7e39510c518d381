"""Four layer character GPT on arithmetic strings, nanoGPT habit.

Cause: learning-rate
Fails: the loss rises from 2.65 to 93 and ends at 2.51, the loss of guessing by character frequency
"""
import math, random
from dataclasses import dataclass
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(42); torch.manual_seed(42)

@dataclass
class GPTConfig:
    block_size: int = 48
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 64
    vocab_size: int = 0

lines = []
for _ in range(9000):
    a, b = random.randint(0, 9), random.randint(0, 9)
    lines.append(f"{a}+{b}={a+b};" if random.random() < .5 else f"{max(a,b)}-{min(a,b)}={abs(a-b)};")
text = "".join(lines)
vocab = sorted(set(text))
enc = {c: i for i, c in enumerate(vocab)}
data = torch.tensor([enc[c] for c in text])
cfg = GPTConfig(vocab_size=len(vocab))

class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(c.n_embd), nn.LayerNorm(c.n_embd)
        self.qkv = nn.Linear(c.n_embd, 3 * c.n_embd)
        self.proj = nn.Linear(c.n_embd, c.n_embd)
        self.mlp = nn.Sequential(nn.Linear(c.n_embd, 4 * c.n_embd), nn.GELU(), nn.Linear(4 * c.n_embd, c.n_embd))
        self.nh = c.n_head
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(B, T, 3, self.nh, C // self.nh).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.mlp(self.ln2(x))

class GPT(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(c.vocab_size, c.n_embd), nn.Embedding(c.block_size, c.n_embd)
        self.h = nn.ModuleList([Block(c) for _ in range(c.n_layer)])
        self.ln_f = nn.LayerNorm(c.n_embd)
        self.lm_head = nn.Linear(c.n_embd, c.vocab_size, bias=False)
        self.apply(lambda m: nn.init.normal_(m.weight, std=0.02) if isinstance(m, (nn.Linear, nn.Embedding)) else None)
    def forward(self, idx, tgt):
        x = self.wte(idx) + self.wpe(torch.arange(idx.size(1)))
        for b in self.h:
            x = b(x)
        logits = self.lm_head(self.ln_f(x))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), tgt.view(-1))

model = GPT(cfg)
max_iters = 200
learning_rate = 1.0  # fix: learning_rate = 3e-3
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01)

def get_lr(it):
    if it < 10:
        return learning_rate * (it + 1) / 10
    return learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * it / max_iters)))

hist = []
for it in range(max_iters):
    for g in optimizer.param_groups:
        g["lr"] = get_lr(it)
    ix = torch.randint(len(data) - cfg.block_size - 1, (16,))
    x = torch.stack([data[i:i + cfg.block_size] for i in ix])
    y = torch.stack([data[i + 1:i + 1 + cfg.block_size] for i in ix])
    loss = model(x, y)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    hist.append(loss.item())
    if it % 50 == 0:
        print(f"iter {it}: loss {loss.item():.4f}")
print("final loss", sum(hist[-20:]) / 20)
