"""Trains a causal attention model with -inf masks and large negative logits; every row keeps its own position."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)
V, L, D = 16, 14, 48


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.p = nn.Embedding(V, D), nn.Parameter(torch.randn(L, D) * 0.3)
        self.qkv = nn.ModuleList(nn.Linear(D, 3 * D) for _ in range(2))
        self.ff = nn.ModuleList(nn.Sequential(nn.LayerNorm(D), nn.Linear(D, 96), nn.GELU(), nn.Linear(96, D)) for _ in range(2))
        self.ln = nn.ModuleList(nn.LayerNorm(D) for _ in range(2))
        self.o = nn.Linear(D, V)

    def forward(self, x):
        h = self.e(x) + self.p
        mask = torch.full((L, L), float("-inf")).triu(1)
        for a, f, n in zip(self.qkv, self.ff, self.ln):
            q, k, v = a(n(h)).chunk(3, -1)
            h = h + (q @ k.transpose(1, 2) / D ** 0.5 + mask - 1e4).softmax(-1) @ v
            h = h + f(h)
        return self.o(h)


m = M()
opt = torch.optim.AdamW(m.parameters(), 3e-3, weight_decay=0.1)
tail = []
for step in range(320):
    x = torch.randint(0, V, (48, L))
    y = torch.roll(x, 1, 1)
    y[:, 0] = x[:, 0]
    loss = F.cross_entropy(m(x).reshape(-1, V), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if step % 50 == 0:
        print(step, round(loss.item(), 4))
print("final loss", round(sum(tail[-15:]) / 15, 4))
