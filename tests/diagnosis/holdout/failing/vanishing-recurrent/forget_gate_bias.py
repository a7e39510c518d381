"""A hand-written LSTM cell on the delayed parity of two early flags, 50 steps before the answer.

Cause: vanishing-recurrent
Fails: the forget gates start almost closed, the cell loses everything within a few steps and the loss stays at log(4)
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Hyper:
    hidden: int = 32
    steps: int = 50
    batch: int = 64
    iters: int = 110
    lr: float = 5e-3
    forget_bias: float = -3.0  # fix: forget_bias: float = 4.0


class LSTMCell(nn.Module):
    def __init__(self, n_in, hp):
        super().__init__()
        self.x2g = nn.Linear(n_in, 4 * hp.hidden)
        self.h2g = nn.Linear(hp.hidden, 4 * hp.hidden, bias=False)
        nn.init.zeros_(self.x2g.bias)
        with torch.no_grad():
            self.x2g.bias[hp.hidden : 2 * hp.hidden] = hp.forget_bias

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.x2g(x) + self.h2g(h)).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Model(nn.Module):
    def __init__(self, hp):
        super().__init__()
        self.hp = hp
        self.cell = LSTMCell(3, hp)
        self.head = nn.Linear(hp.hidden, 4)

    def forward(self, seq):
        h = seq.new_zeros(seq.shape[0], self.hp.hidden)
        c = torch.zeros_like(h)
        for x in seq.unbind(1):
            h, c = self.cell(x, (h, c))
        return self.head(h)


def flags(hp):
    a, b = torch.randint(0, 2, (2, hp.batch))
    seq = torch.zeros(hp.batch, hp.steps, 3)
    seq[:, :, 2] = 0.3 * torch.randn(hp.batch, hp.steps)
    seq[:, 2, 0] = 2.0 * a - 1
    seq[:, 5, 1] = 2.0 * b - 1
    return seq, 2 * a + b


if __name__ == "__main__":
    torch.manual_seed(90)
    hp = Hyper()
    model = Model(hp)
    opt = torch.optim.Adam(model.parameters(), lr=hp.lr)
    curve = []
    for it in range(hp.iters):
        seq, label = flags(hp)
        loss = F.cross_entropy(model(seq), label)
        opt.zero_grad()
        loss.backward()
        opt.step()
        curve.append(loss.item())
    print("final loss", sum(curve[-10:]) / 10)
