"""Character GRU on arithmetic strings, SGD with cosine warm restarts and a generous peak rate."""
import random
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

random.seed(6)
torch.manual_seed(6)
CH = "0123456789+=;"
IDX = {c: i for i, c in enumerate(CH)}


def lines(n):
    out = []
    for _ in range(n):
        a, b = random.randint(0, 4), random.randint(0, 5)
        out.append(f"{a}+{b}={a + b};")
    return out


stream = torch.tensor([IDX[c] for c in "".join(lines(4000))])
LEN = 36


class CharGRU(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.emb = nn.Embedding(len(CH), 24)
        self.gru = nn.GRU(24, h, batch_first=True)
        self.ln = nn.LayerNorm(h)
        self.out = nn.Linear(h, len(CH))

    def forward(self, x):
        return self.out(self.ln(self.gru(self.emb(x))[0]))


def chunk(n):
    s = torch.randint(len(stream) - LEN - 1, (n, 1)) + torch.arange(LEN + 1)
    w = stream[s]
    return w[:, :-1], w[:, 1:]


net = CharGRU()
opt = torch.optim.SGD(net.parameters(), lr=2.0, momentum=0.5)
sched = CosineAnnealingWarmRestarts(opt, T_0=60, T_mult=2, eta_min=0.01)
for it in range(420):
    x, y = chunk(24)
    loss = nn.functional.cross_entropy(net(x).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    sched.step()
    if it % 30 == 0:
        print(f"{it:4d} lr {sched.get_last_lr()[0]:.3f} loss {loss.item():.4f}")

good = tot = 0
with torch.no_grad():
    for a in range(5):
        for b in range(6):
            s = f"1+1=2;{a}+{b}="
            x = torch.tensor([[IDX[c] for c in s]])
            good += CH[int(net(x)[0, -1].argmax())] == str(a + b)
            tot += 1
print(f"final share of right sums {good / tot:.4f}")
