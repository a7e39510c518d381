"""Sequence tagger with a length and noise curriculum: the training loss jumps up at every stage and comes down again."""
from dataclasses import dataclass
import torch
from torch import nn


@dataclass(frozen=True)
class Stage:
    steps: int
    length: int
    noise: float


STAGES = (Stage(100, 6, 0.1), Stage(100, 12, 0.5), Stage(250, 24, 0.8))


class Tagger(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.gru = nn.GRU(2, h, batch_first=True)
        self.out = nn.Linear(h, 3)

    def forward(self, x):
        return self.out(self.gru(x)[0])


def make(stage, g, n=32):
    x = torch.randn(n, stage.length, 2, generator=g)
    lvl = x[..., 0].cumsum(1)
    y = (lvl > 0.8).long() + 2 * (lvl < -0.8).long()
    return x + stage.noise * 0.2 * torch.randn(x.shape, generator=g), y


torch.manual_seed(5)
gen = torch.Generator().manual_seed(6)
net, hist = Tagger(), []
opt = torch.optim.AdamW(net.parameters(), lr=5e-3)
for k, st in enumerate(STAGES):
    for i in range(st.steps):
        x, y = make(st, gen)
        loss = nn.functional.cross_entropy(net(x).transpose(1, 2), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        hist.append(loss.item())
    print("stage", k, "loss", sum(hist[-20:]) / 20)
print("final loss", sum(hist[-20:]) / 20)
