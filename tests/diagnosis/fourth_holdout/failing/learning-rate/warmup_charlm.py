"""A tiny causal transformer on the characters of a made-up recipe book.

Cause: learning-rate
Fails: the loss falls to about 1.2 by step 80, then climbs as the rate goes on rising and ends at 2.6
"""
import random
import torch
from torch import nn

torch.manual_seed(0)
random.seed(0)

VERBS = ["stir", "boil", "chop", "bake", "fold", "roast"]
THINGS = ["the onions", "two eggs", "a cup of rice", "the butter", "ripe plums", "some flour"]
ENDS = ["until golden", "for ten minutes", "with care", "in a hot pan"]
text = " ".join(f"{random.choice(VERBS)} {random.choice(THINGS)} {random.choice(ENDS)}." for _ in range(1500))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
T, B, D = 40, 16, 64


def batch():
    i = torch.randint(0, len(data) - T - 1, (B,))
    return (torch.stack([data[j:j + T] for j in i]), torch.stack([data[j + 1:j + T + 1] for j in i]))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.att = nn.MultiheadAttention(D, 4, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))

    def forward(self, x, mask):
        h = self.n1(x)
        x = x + self.att(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.ff(self.n2(x))


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(len(chars), D)
        self.pos = nn.Parameter(torch.randn(T, D) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.out = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, len(chars)))
        self.register_buffer("mask", torch.triu(torch.ones(T, T, dtype=torch.bool), 1))

    def forward(self, idx):
        x = self.tok(idx) + self.pos
        for b in self.blocks:
            x = b(x, self.mask)
        return self.out(x)


model = LM()
BASE, WARMUP, STEPS = 6e-3, 4, 260


def rate(step):
    # linear warm-up
    return (step + 1) / WARMUP  # fix: return min(1.0, (step + 1) / WARMUP)


opt = torch.optim.Adam(model.parameters(), lr=BASE)
sched = torch.optim.lr_scheduler.LambdaLR(opt, rate)
tail = []
for step in range(STEPS):
    x, y = batch()
    logits = model(x)
    loss = nn.functional.cross_entropy(logits.reshape(-1, len(chars)), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step >= STEPS - 30:
        tail.append(loss.item())
    if step % 40 == 0:
        print(f"step {step:4d} | loss {loss.item():.3f}")
print("final loss", sum(tail) / len(tail))
