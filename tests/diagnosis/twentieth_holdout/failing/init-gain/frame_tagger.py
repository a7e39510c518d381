"""Labels frames of a simulated filter-bank recording as silence, voiced or fricative with 40 residual blocks.

Cause: init-gain
Fails: activations grow from block to block, the loss starts enormous and turns NaN
"""
import numpy as np
import torch
from torch import nn

SEED = 77
torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)
BANDS = 20


def recording(T):
    lab, spec = [], []
    while len(lab) < T:
        kind, dur = rng.integers(0, 3), rng.integers(5, 20)
        f0 = rng.uniform(2, 6)
        for _ in range(dur):
            b = np.arange(BANDS)
            if kind == 0:
                e = -2 + 0 * b
            elif kind == 1:
                e = 1.5 * np.cos(2 * np.pi * b / f0) - 0.1 * b
            else:
                e = 0.15 * b - 1.5
            spec.append(e + 0.8 * rng.standard_normal(BANDS))
            lab.append(kind)
    return np.array(spec[:T], dtype=np.float32), np.array(lab[:T])


spec, lab = recording(12000)
spec = (spec - spec.mean(0)) / spec.std(0)
ctx = np.stack([np.roll(spec, s, 0) for s in (-2, -1, 0, 1, 2)], 1).reshape(len(spec), -1)
ctx, lab = torch.from_numpy(ctx), torch.from_numpy(lab)


class ResBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.a = nn.Linear(d, d)
        self.b = nn.Linear(d, d)
        nn.init.kaiming_normal_(self.a.weight)
        nn.init.kaiming_normal_(self.b.weight)  # fix: nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.a.bias)
        nn.init.zeros_(self.b.bias)

    def forward(self, x):
        return x + self.b(torch.relu(self.a(x)))


class Tagger(nn.Module):
    def __init__(self, d=64, blocks=40):
        super().__init__()
        self.stem = nn.Linear(5 * BANDS, d)
        self.blocks = nn.Sequential(*[ResBlock(d) for _ in range(blocks)])
        self.head = nn.Linear(d, 3)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


net = Tagger()
crit = nn.CrossEntropyLoss()
opt = torch.optim.SGD(net.parameters(), lr=2e-3, momentum=0.9)
for epoch in range(3):
    order = torch.randperm(10000)
    tot = 0.0
    for k in range(0, 10000, 100):
        j = order[k:k + 100]
        loss = crit(net(ctx[j]), lab[j])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    print("epoch", epoch, tot / 100)
with torch.no_grad():
    print("final loss", crit(net(ctx[10000:]), lab[10000:]).item())
