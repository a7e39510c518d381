"""Trains a causal transformer language model on nested bracket strings with an Adam written by hand.
Cause: stale-second-moment
Fails: the first steps throw the weights far off; the loss jumps above its start and never gets near the healthy value.
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(3)
torch.manual_seed(3)
L, V, D = 24, 8, 48


def brackets():
    out, stack = [], []
    while len(out) < L:
        if stack and (len(stack) >= 5 or random.random() < 0.5):
            out.append(stack.pop() + 4)
        else:
            k = random.randrange(4)
            stack.append(k)
            out.append(k)
    return out


data = torch.tensor([brackets() for _ in range(3000)])


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V + 1, D)
        self.p = nn.Parameter(0.02 * torch.randn(L, D))
        layer = nn.TransformerEncoderLayer(D, 4, 96, dropout=0.0, batch_first=True, norm_first=False)
        self.t = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.o = nn.Linear(D, V)
        self.register_buffer("m", nn.Transformer.generate_square_subsequent_mask(L))

    def forward(self, x):
        return self.o(self.t(self.e(x) + self.p, mask=self.m))


class MyAdam:
    def __init__(self, params, lr, b1=0.9, b2=0.9999, eps=1e-8):
        self.ps = list(params)
        self.lr, self.b1, self.b2, self.eps, self.t = lr, b1, b2, eps, 0
        self.m = [torch.zeros_like(p) for p in self.ps]
        self.v = [torch.zeros_like(p) for p in self.ps]

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.ps, self.m, self.v):
            m.lerp_(p.grad, 1 - self.b1)
            v.lerp_(p.grad ** 2, 1 - self.b2)
            mh = m / (1 - self.b1 ** self.t)
            vh = v  # fix: vh = v / (1 - self.b2 ** self.t)
            p.sub_(self.lr * mh / (vh.sqrt() + self.eps))
            p.grad = None


net = LM()
opt = MyAdam(net.parameters(), 2e-3)
hist = []
for step in range(250):
    y = data[torch.randint(0, len(data), (32,))]
    x = torch.cat([torch.full((32, 1), V), y[:, :-1]], 1)
    loss = F.cross_entropy(net(x).reshape(-1, V), y.reshape(-1))
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step in (0, 1, 2, 5, 10) or step % 50 == 0:
        print(step, round(loss.item(), 4))
print("final loss", round(sum(hist[-20:]) / 20, 4))
