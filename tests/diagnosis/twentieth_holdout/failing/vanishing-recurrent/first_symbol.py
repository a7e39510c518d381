"""Recovers which command opened a mostly idle control session of thirty events, own tanh recurrent cell.

Cause: vanishing-recurrent
Fails: the loss stays at log 6, nothing reaches the first event
"""
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(35)
CMD, EVENTS, T = 6, 12, 30


def sessions(n):
    y = torch.randint(0, CMD, (n,))
    ev = torch.randint(CMD, CMD + EVENTS, (n, T))
    ev = torch.where(torch.rand(n, T) < 0.1, ev, torch.full_like(ev, CMD))
    ev[:, 0] = y
    return ev, y


class Cell(nn.Module):
    def __init__(self, d_in, d_h):
        super().__init__()
        self.wx = nn.Linear(d_in, d_h)
        self.wh = nn.Linear(d_h, d_h, bias=False)
        nn.init.normal_(self.wx.weight, std=0.06)
        nn.init.zeros_(self.wx.bias)
        nn.init.normal_(self.wh.weight, std=0.05)  # fix: nn.init.orthogonal_(self.wh.weight)

    def forward(self, x, h):
        return torch.tanh(self.wx(x) + self.wh(h))


class Net(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.emb = nn.Embedding(CMD + EVENTS, 24, padding_idx=CMD)
        self.cell = Cell(24, d)
        self.cls = nn.Linear(d, CMD)

    def forward(self, ev):
        e = self.emb(ev)
        h = e.new_zeros(len(ev), self.cls.in_features)
        for t in range(T):
            h = self.cell(e[:, t], h)
        return self.cls(h)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(700):
    ev, y = sessions(64)
    loss = F.cross_entropy(net(ev), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    if step % 70 == 0:
        print(step, loss.item())
with torch.no_grad():
    ev, y = sessions(500)
    print("final loss", F.cross_entropy(net(ev), y).item())
