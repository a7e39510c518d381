"""Character language model over synthetic log lines with a stack of diagonal state-space layers.

Cause: recurrent-gain
Fails: the loss starts many orders of magnitude too high and never comes near a usable value
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = 11
random.seed(SEED)
torch.manual_seed(SEED)

LEVELS = ["INFO", "WARN", "DEBUG", "ERROR"]
UNITS = ["auth", "db", "cache", "router", "billing"]
VERBS = ["opened", "closed", "retried", "timed out", "accepted"]
text = "\n".join(
    f"{random.choice(LEVELS)} {random.choice(UNITS)}: connection {random.randint(100, 999)} {random.choice(VERBS)}"
    for _ in range(4000)
)
vocab = sorted(set(text))
ids = torch.tensor([vocab.index(c) for c in text])
split = int(0.9 * len(ids))
train_ids, test_ids = ids[:split], ids[split:]


class DiagonalSSM(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.a = nn.Parameter(torch.linspace(-2.0, 0.9, dim))
        self.b = nn.Linear(dim, dim)
        self.c = nn.Linear(dim, dim)

    def forward(self, x):
        decay = F.softplus(self.a)  # fix: decay = torch.sigmoid(self.a)
        u = self.b(x)
        s = torch.zeros_like(u[:, 0])
        outs = []
        for t in range(u.shape[1]):
            s = decay * s + u[:, t]
            outs.append(s)
        return x + self.c(F.silu(torch.stack(outs, 1)))


class LM(nn.Module):
    def __init__(self, n, dim=48, depth=2):
        super().__init__()
        self.emb = nn.Embedding(n, dim)
        self.layers = nn.ModuleList(DiagonalSSM(dim) for _ in range(depth))
        self.head = nn.Linear(dim, n)

    def forward(self, x):
        h = self.emb(x)
        for layer in self.layers:
            h = layer(h)
        return self.head(h)


def get_batch(src, bs=16, length=96):
    at = torch.randint(0, len(src) - length - 1, (bs,))
    chunk = torch.stack([src[i:i + length + 1] for i in at])
    return chunk[:, :-1], chunk[:, 1:]


net = LM(len(vocab))
optim = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.01)
for it in range(200):
    x, y = get_batch(train_ids)
    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
    optim.zero_grad(set_to_none=True)
    loss.backward()
    optim.step()
    if it % 25 == 0:
        print(f"iter {it} loss {loss.item():.4f}")

with torch.no_grad():
    x, y = get_batch(test_ids, bs=64)
    print("final loss", F.cross_entropy(net(x).flatten(0, 1), y.flatten()).item())
