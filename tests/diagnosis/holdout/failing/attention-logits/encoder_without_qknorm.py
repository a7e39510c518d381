"""A bidirectional encoder that reverses strings, trained at a brisk rate which QK normalisation would allow.

Cause: attention-logits
Fails: nothing bounds queries and keys, their products climb from one to hundreds and more, attention turns one-hot and the loss goes back up
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
VOCAB, LENGTH, DIM, HEADS = 16, 10, 48, 2


class MultiHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.wq, self.wk, self.wv = (nn.Linear(DIM, DIM) for _ in range(3))
        self.wo = nn.Linear(DIM, DIM)

    def heads(self, t):
        return t.unflatten(-1, (HEADS, DIM // HEADS)).transpose(1, 2)

    def forward(self, x):
        q, k, v = self.heads(self.wq(x)), self.heads(self.wk(x)), self.heads(self.wv(x))
        # fix: q, k = F.layer_norm(q, q.shape[-1:]), F.layer_norm(k, k.shape[-1:])
        scores = torch.einsum("bhid,bhjd->bhij", q, k) * (DIM // HEADS) ** -0.5
        mixed = torch.einsum("bhij,bhjd->bhid", scores.softmax(dim=-1), v)
        return self.wo(mixed.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.attn = MultiHead()
        self.ff = nn.Sequential(nn.Linear(DIM, 2 * DIM), nn.GELU(), nn.Linear(2 * DIM, DIM))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.ff(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, DIM)
        self.pos = nn.Parameter(torch.randn(LENGTH, DIM) * 0.5)
        self.layers = nn.Sequential(*[Layer() for _ in range(depth)])
        self.norm = nn.LayerNorm(DIM)
        self.out = nn.Linear(DIM, VOCAB)

    def forward(self, s):
        return self.out(self.norm(self.layers(self.tok(s) + self.pos)))


net = Encoder()
opt = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
history = []
for step in range(220):
    s = torch.randint(0, VOCAB, (32, LENGTH))
    loss = F.cross_entropy(net(s).transpose(1, 2), s.flip(1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append(loss.item())
print("final loss", sum(history[-10:]) / 10)
