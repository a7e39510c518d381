"""ReLU recurrent net (hand-written cell) for the adding problem.

Cause: recurrent-gain
Fails: hidden state grows by a factor at each time step; loss astronomically high.
"""
import torch
from torch import nn


class Cell(nn.Module):
    def __init__(self, n_in, n_hid):
        super().__init__()
        self.n_hid = n_hid
        self.wx = nn.Linear(n_in, n_hid)
        self.wh = nn.Parameter(torch.empty(n_hid, n_hid))
        self.reset()

    def reset(self):
        nn.init.eye_(self.wh)
        with torch.no_grad():
            self.wh += 0.06 * torch.randn_like(self.wh).abs()  # fix: self.wh += 0.001 * torch.randn_like(self.wh)

    def forward(self, seq):
        h = seq.new_zeros(seq.size(1), self.n_hid)
        for x in seq:
            h = torch.relu(self.wx(x) + h @ self.wh)
        return h


def adding_batch(n, T):
    val = torch.rand(T, n)
    mark = torch.zeros(T, n)
    half = T // 2
    mark[torch.randint(0, half, (n,)), torch.arange(n)] = 1
    mark[torch.randint(half, T, (n,)), torch.arange(n)] = 1
    return torch.stack([val, mark], -1), (val * mark).sum(0)


def main():
    torch.manual_seed(14)
    cell, head = Cell(2, 48), nn.Linear(48, 1)
    ps = list(cell.parameters()) + list(head.parameters())
    opt = torch.optim.Adam(ps, lr=1e-3)
    smooth = None
    for step in range(1200):
        x, y = adding_batch(64, 30)
        loss = ((head(cell(x)).squeeze(-1) - y) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ps, 1.0)
        opt.step()
        smooth = loss.item() if smooth is None else 0.97 * smooth + 0.03 * loss.item()
        if step % 100 == 0:
            print("step %4d  mse %.5g  smooth %.5g" % (step, loss.item(), smooth))
    print("final loss %.6g" % smooth)


if __name__ == "__main__":
    main()
