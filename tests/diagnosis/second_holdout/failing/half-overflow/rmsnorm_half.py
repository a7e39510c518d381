"""Character language model with hand-written RMSNorm, activations kept in float16.

Cause: half-overflow
Fails: the squares in the norm pass 65504 in float16, the normalised stream is all zeros or NaN
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = ("the quick brown fox jumps over the lazy dog. pack my box with five dozen liquor jugs. "
        "how vexingly quick daft zebras jump! sphinx of black quartz, judge my vow. ") * 20
chars = sorted(set(TEXT))
ids = torch.tensor([chars.index(c) for c in TEXT])
V, D, CTX = len(chars), 64, 24


class RMSNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.g = nn.Parameter(torch.ones(d))

    def forward(self, x):
        ms = x.pow(2).sum(-1, keepdim=True) / D  # fix: ms = x.float().pow(2).sum(-1, keepdim=True) / D
        return x * torch.rsqrt(ms + 1e-5).to(x.dtype) * self.g.to(x.dtype)


class Half(nn.Linear):
    """Master weights in float32, product in float16."""

    def forward(self, x):
        return F.linear(x.half(), self.weight.half(), self.bias.half())


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = RMSNorm(D), RMSNorm(D)
        self.tok = nn.Parameter(torch.randn(CTX, CTX) / math.sqrt(CTX))
        self.up, self.down = Half(D, 2 * D), Half(2 * D, D)

    def forward(self, x):
        mix = self.tok.tril().softmax(-1).half()
        x = x + mix @ self.n1(x)
        return x + self.down(F.gelu(self.up(self.n2(x))))


class CharLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, D)
        self.blocks = nn.ModuleList(Mixer() for _ in range(2))
        self.norm = RMSNorm(D)
        self.head = nn.Linear(D, V)

    def forward(self, idx):
        x = (self.emb(idx) * D).half()  # scaled up as in the paper, times d instead of its root
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x).float())


torch.manual_seed(0)
lm = CharLM()
opt = torch.optim.AdamW(lm.parameters(), lr=3e-3)
hist = []
for step in range(250):
    s = torch.randint(len(ids) - CTX - 1, (24,))
    xb = torch.stack([ids[i:i + CTX] for i in s])
    yb = torch.stack([ids[i + 1:i + CTX + 1] for i in s])
    loss = F.cross_entropy(lm(xb).view(-1, V), yb.view(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-20:]) / 20)
