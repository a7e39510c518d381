"""Padded token classification with an additive mask of -inf and a sequence that is nearly all padding."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
V, D, MAXLEN = 30, 48, 20


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V, D, padding_idx=0)
        self.p = nn.Parameter(torch.randn(MAXLEN, D) * 0.02)
        self.qkv, self.o = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.ff = nn.Sequential(nn.Linear(D, 96), nn.ReLU(), nn.Linear(96, D))
        self.head = nn.Linear(D, 2)

    def forward(self, tok):
        mask = torch.zeros(tok.shape).masked_fill(tok == 0, float("-inf"))
        x = self.e(tok) + self.p
        q, k, v = self.qkv(self.n1(x)).chunk(3, -1)
        att = (q @ k.transpose(1, 2) / D ** 0.5 + mask[:, None]).softmax(-1)
        x = x + self.o(att @ v)
        return self.head(x + self.ff(self.n2(x)))


def sample(n=48):
    tok = torch.randint(1, V, (n, MAXLEN))
    lens = torch.randint(1, MAXLEN + 1, (n,))
    tok[torch.arange(MAXLEN)[None] >= lens[:, None]] = 0
    has = (tok == 5).any(1, keepdim=True)
    tag = ((tok % 2 == 1) ^ has).long()
    tag[tok == 0] = -100
    return tok, tag


net = Tagger()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
ema = None
for step in range(700):
    tok, tag = sample()
    loss = F.cross_entropy(net(tok).flatten(0, 1), tag.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema = loss.item() if ema is None else 0.95 * ema + 0.05 * loss.item()
    if step % 100 == 0:
        print(step, loss.item())
print("final loss", ema)
