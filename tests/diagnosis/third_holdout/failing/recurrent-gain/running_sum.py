"""A hand-written ReLU recurrence that keeps a running sum of marked entries.

Cause: recurrent-gain
Fails: the loss starts at 2e30 and stays there
"""
import argparse
import math

import torch
from torch import nn


class SumCell(nn.Module):
    def __init__(self, n_in, n_hid):
        super().__init__()
        self.inp = nn.Parameter(torch.randn(n_hid, n_in) / math.sqrt(n_in) * 0.3)
        eye = torch.eye(n_hid)
        self.rec = nn.Parameter(2.6 * eye)  # fix: self.rec = nn.Parameter(0.98 * eye)
        self.bias = nn.Parameter(torch.zeros(n_hid))

    def forward(self, xs):
        state = xs.new_zeros(xs.shape[1], self.rec.shape[0])
        for x in xs:
            state = torch.relu(x @ self.inp.T + state @ self.rec.T + self.bias)
        return state


class Model(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.cell = SumCell(2, hidden)
        self.read = nn.Linear(hidden, 1)

    def forward(self, xs):
        return self.read(self.cell(xs)).squeeze(-1)


def episode(batch, length, gen):
    values = torch.rand(length, batch, generator=gen)
    mark = (torch.rand(length, batch, generator=gen) < 0.1).float()
    return torch.stack([values, mark], -1), (values * mark).sum(0)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=900)
    p.add_argument("--length", type=int, default=40)
    p.add_argument("--hidden", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-3)
    args = p.parse_args()
    torch.manual_seed(3)
    gen = torch.Generator().manual_seed(4)
    model = Model(args.hidden)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr)
    recent = []
    for step in range(args.steps):
        xs, target = episode(32, args.length, gen)
        loss = ((model(xs) - target) ** 2).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        recent = (recent + [loss.item()])[-20:]
    print("final loss", sum(recent) / len(recent))


if __name__ == "__main__":
    main()
