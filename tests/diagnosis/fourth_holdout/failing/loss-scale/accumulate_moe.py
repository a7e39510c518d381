"""A mixture of experts on piecewise data, trained with accumulated micro-batches.

Cause: loss-scale
Fails: the loss is 4.5, rises at once and is 4e3 at update 3, inf at 5 and nan from 6 on
"""
import torch
from torch import nn


class MoE(nn.Module):
    def __init__(self, d, experts=4, hidden=32):
        super().__init__()
        self.gate = nn.Linear(d, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, 1)) for _ in range(experts))

    def forward(self, x):
        w = self.gate(x).softmax(-1)
        y = torch.cat([e(x) for e in self.experts], -1)
        return (w * y).sum(-1), w


def target(x):
    return torch.where(x[:, 0] > 0, 2 * x[:, 1] - x[:, 2], torch.where(x[:, 3] > 0, -2 * x[:, 1], x[:, 2] * 2))


def train(steps=80, accum=48, micro=8, lr=0.1):
    torch.manual_seed(77)
    model = MoE(8)
    opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    history = []
    for step in range(steps):
        opt.zero_grad()
        total = 0.0
        for _ in range(accum):
            x = torch.randn(micro, 8)
            pred, w = model(x)
            balance = (w.mean(0) * w.shape[1] - 1).pow(2).mean()
            loss = (pred - target(x)).pow(2).mean() + 0.001 * balance
            loss.backward()  # fix: (loss / accum).backward()
            total += loss.item()
        opt.step()
        history.append(total / accum)
        if step % 8 == 0:
            print(f"update {step} loss {history[-1]:.4f}")
    return sum(history[-5:]) / 5


print("final loss", train())
