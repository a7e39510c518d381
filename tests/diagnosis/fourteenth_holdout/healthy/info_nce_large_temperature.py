"""Contrastive learning of two noisy views (InfoNCE, temperature 0.05): the loss starts far above the log of the batch
size because of the sharp temperature, and falls."""

import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(30, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 16))


class TwoViews:
    def __init__(self, seed):
        torch.manual_seed(seed)
        self.mix = torch.randn(6, 30)

    def __iter__(self):
        while True:
            core = torch.randn(96, 6) @ self.mix
            yield tuple(core + 0.8 * torch.randn(96, 30) * (torch.rand(96, 30) > 0.2) for _ in range(2))


def info_nce(a, b, temperature=0.05):
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).t() / temperature
    target = torch.arange(len(a))
    return 0.5 * (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target))


views = TwoViews(58)
left, right = Encoder(), Encoder()
optimizer = torch.optim.NAdam([*left.parameters(), *right.parameters()], lr=2e-3)
losses = []
for step, (a, b) in enumerate(views):
    if step == 350:
        break
    loss = info_nce(left(a), right(b))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
