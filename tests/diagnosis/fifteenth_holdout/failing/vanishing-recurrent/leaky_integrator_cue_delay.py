"""A leaky recurrent network of neuroscience type reports the side of a cue after a silent delay.

Cause: vanishing-recurrent
Fails: weak recurrent weights let cue and gradient decay over the delay, the answer stays a coin toss
"""
import torch
from torch import nn


class LeakyRNN(nn.Module):
    def __init__(self, n_in, n, alpha=0.8):
        super().__init__()
        self.alpha = alpha
        self.win = nn.Linear(n_in, n)
        self.rec = nn.Linear(n, n, bias=False)
        nn.init.orthogonal_(self.rec.weight, gain=0.3)  # fix: nn.init.orthogonal_(self.rec.weight, gain=1.05)
        self.read = nn.Linear(n, 2)

    def forward(self, u):
        h = torch.zeros(u.shape[0], self.rec.in_features)
        for t in range(u.shape[1]):
            h = (1 - self.alpha) * h + self.alpha * torch.tanh(self.win(u[:, t]) + self.rec(h))
        return self.read(h)


def trials(n, cue=3, delay=35):
    side = torch.randint(0, 2, (n,))
    u = 0.02 * torch.randn(n, cue + delay, 3)
    u[:, :cue, 0] += (side == 0).float()[:, None]
    u[:, :cue, 1] += (side == 1).float()[:, None]
    u[:, -1, 2] += 1.0
    return u, side


def session(steps=500, seed=3):
    torch.manual_seed(seed)
    net = LeakyRNN(3, 48)
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
    hist = []
    for _ in range(steps):
        u, side = trials(32)
        loss = nn.functional.cross_entropy(net(u), side)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        opt.step()
        hist.append(loss.item())
    print("first loss", hist[0])
    return hist


h = session()
print("final loss", sum(h[-40:]) / 40)
