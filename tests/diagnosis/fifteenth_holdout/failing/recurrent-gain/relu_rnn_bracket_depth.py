"""A jit-scripted ReLU recurrent cell predicts the nesting depth of a bracket string after each symbol.

Cause: recurrent-gain
Fails: the identity-like recurrent matrix expands at every step, the loss explodes to inf or nan
"""
from typing import List

import torch
from torch import Tensor, nn


@torch.jit.script
def unroll(x: Tensor, h: Tensor, W: Tensor, b: Tensor) -> Tensor:
    outs: List[Tensor] = []
    for t in range(x.size(0)):
        h = torch.relu(x[t] + h @ W + b)
        outs.append(h)
    return torch.stack(outs)


class IRNN(nn.Module):
    def __init__(self, vocab, hidden):
        super().__init__()
        self.emb = nn.Embedding(vocab, hidden)
        nn.init.normal_(self.emb.weight, std=0.3)
        noise = torch.randn(hidden, hidden) / hidden ** 0.5
        self.W = nn.Parameter(torch.eye(hidden) + 0.5 * noise)  # fix: self.W = nn.Parameter(torch.eye(hidden) + 0.01 * noise)
        self.b = nn.Parameter(torch.zeros(hidden))
        self.readout = nn.Linear(hidden, 1)

    def forward(self, tok):
        h0 = torch.zeros(tok.size(1), self.b.numel())
        return self.readout(unroll(self.emb(tok), h0, self.W, self.b)).squeeze(-1)


def bracket_batch(T, B):
    depth = torch.zeros(B)
    toks, deps = [], []
    for _ in range(T):
        up = (torch.rand(B) < 0.5) | (depth == 0)
        up = up & (depth < 6)
        depth = depth + torch.where(up, 1.0, -1.0)
        toks.append(up.long())
        deps.append(depth.clone())
    return torch.stack(toks), torch.stack(deps) / 3.0 - 1.0


def train():
    torch.manual_seed(21)
    model = IRNN(2, 40)
    opt = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.5)
    losses = []
    for step in range(250):
        x, d = bracket_batch(50, 16)
        loss = (model(x) - d).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print("start", losses[0])
    return sum(losses[-30:]) / 30


print("final loss", train())
