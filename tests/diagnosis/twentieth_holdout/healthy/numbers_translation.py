"""Translates spelled numbers into digits with a transformer, averaged accumulation, inverse-square-root schedule."""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(6)
torch.manual_seed(6)
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "x x twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(n):
    out = []
    if n >= 1000:
        out += spell(n // 1000) + ["thousand"]
        n %= 1000
    if n >= 100:
        out += [ONES[n // 100], "hundred"]
        n %= 100
    if n >= 20:
        out.append(TENS[n // 10])
        n %= 10
    if n or not out:
        out.append(ONES[n])
    return out


voc = ["<pad>"] + ONES + TENS[2:] + ["hundred", "thousand"]
nums = random.sample(range(10000), 5000)
S = torch.zeros(len(nums), 7, dtype=torch.long)
for r, n in enumerate(nums):
    w = [voc.index(x) for x in spell(n)]
    S[r, :len(w)] = torch.tensor(w)
Y = torch.tensor([[int(c) for c in f"{n:04d}"] for n in nums])


class Model(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.src, self.tgt = nn.Embedding(len(voc), d), nn.Embedding(11, d)
        self.ps, self.pt = nn.Parameter(0.1 * torch.randn(7, d)), nn.Parameter(0.1 * torch.randn(4, d))
        self.tr = nn.Transformer(d, 4, 1, 1, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(d, 10)

    def forward(self, s, y):
        prev = torch.cat([torch.full_like(y[:, :1], 10), y[:, :-1]], 1)
        m = nn.Transformer.generate_square_subsequent_mask(4)
        return self.out(self.tr(self.src(s) + self.ps, self.tgt(prev) + self.pt, tgt_mask=m, src_key_padding_mask=s == 0, memory_key_padding_mask=s == 0))


net = Model()
opt = torch.optim.Adam(net.parameters(), lr=6e-3, betas=(0.9, 0.98))
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min((s + 1) / 40, (40 / (s + 1)) ** 0.5))
K = 2
for step in range(260):
    opt.zero_grad()
    for _ in range(K):
        i = torch.randint(0, 4500, (32,))
        loss = F.cross_entropy(net(S[i], Y[i]).flatten(0, 1), Y[i].flatten()) / K
        loss.backward()
    opt.step()
    sched.step()
    if step % 26 == 0:
        print(step, loss.item() * K)
with torch.no_grad():
    print("final loss", F.cross_entropy(net(S[4500:], Y[4500:]).flatten(0, 1), Y[4500:].flatten()).item())
