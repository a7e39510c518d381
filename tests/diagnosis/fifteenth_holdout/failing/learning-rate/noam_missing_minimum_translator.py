"""An encoder-decoder transformer learns to spell numbers in English words with a warm-up schedule.

Cause: learning-rate
Fails: the warm-up never ends, the rate climbs on and the loss diverges after it had begun to fall
"""
import torch
from torch import nn

torch.manual_seed(5)
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(n):
    if n < 20:
        return [ONES[n]]
    if n < 100:
        return [TENS[n // 10]] + ([ONES[n % 10]] if n % 10 else [])
    rest = n % 100
    return [ONES[n // 100], "hundred"] + (["and"] + spell(rest) if rest else [])


words = ["<pad>", "<s>", "</s>"] + sorted({w for n in range(1000) for w in spell(n)})
tid = {w: i for i, w in enumerate(words)}
S = torch.zeros(1000, 3, dtype=torch.long)
T = torch.zeros(1000, 8, dtype=torch.long)
for n in range(1000):
    ds = [int(c) + 1 for c in str(n)]
    S[n, : len(ds)] = torch.tensor(ds)
    seq = [1] + [tid[w] for w in spell(n)] + [2]
    T[n, : len(seq)] = torch.tensor(seq)


class NumberSpeller(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.se, self.te = nn.Embedding(11, d), nn.Embedding(len(words), d)
        self.sp, self.tp = nn.Parameter(torch.randn(3, d) * 0.1), nn.Parameter(torch.randn(8, d) * 0.1)
        self.tr = nn.Transformer(d, 4, 1, 2, 96, dropout=0.0, batch_first=True, norm_first=False)
        self.out = nn.Linear(d, len(words))

    def forward(self, s, t):
        L = t.shape[1]
        mask = torch.triu(torch.full((L, L), float("-inf")), 1)
        h = self.tr(self.se(s) + self.sp, self.te(t) + self.tp[:L], tgt_mask=mask)
        return self.out(h)


net = NumberSpeller()
opt = torch.optim.Adam(net.parameters(), lr=4e-3, betas=(0.9, 0.98))
warm = 10
rate = lambda s: (s + 1) / warm  # fix: rate = lambda s: min((s + 1) / warm, (warm / (s + 1)) ** 0.5)
sched = torch.optim.lr_scheduler.LambdaLR(opt, rate)
crit = nn.CrossEntropyLoss(ignore_index=0)
losses = []
for step in range(260):
    ids = torch.randint(0, 1000, (48,))
    logits = net(S[ids], T[ids, :-1])
    loss = crit(logits.flatten(0, 1), T[ids, 1:].flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, round(losses[-1], 4), sched.get_last_lr())
print("final loss", sum(losses[-25:]) / 25)
