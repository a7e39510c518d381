"""An Elman network adds two binary numbers that are fed bit by bit from the lowest digit.

Cause: saturation
Fails: the input weights drive every tanh to its end, almost no gradient passes and the sum bits remain a guess
"""
import torch
from torch import nn

torch.manual_seed(7)


class Elman(nn.Module):
    def __init__(self, n=32):
        super().__init__()
        self.cell = nn.RNNCell(2, n)
        self.out = nn.Linear(n, 1)
        nn.init.orthogonal_(self.cell.weight_hh)
        nn.init.normal_(self.cell.weight_ih, std=0.5)
        nn.init.uniform_(self.cell.bias_ih, 20, 60)  # fix: nn.init.uniform_(self.cell.bias_ih, -0.1, 0.1)

    def forward(self, bits):
        h = bits.new_zeros(bits.shape[1], 32)
        ys = []
        for b in bits:
            h = self.cell(b, h)
            ys.append(self.out(h).squeeze(-1))
        return torch.stack(ys)


def sums(n, width=8):
    a, b = torch.randint(0, 2 ** (width - 1), (2, n))
    c = a + b
    bit = lambda v: torch.stack([(v >> k) & 1 for k in range(width)]).float()
    return torch.stack([bit(a), bit(b)], -1) * 2 - 1, bit(c)


net = Elman()
opt = torch.optim.Adam(net.parameters(), lr=6e-3)
hist = []
for step in range(900):
    x, y = sums(64)
    loss = nn.functional.binary_cross_entropy_with_logits(net(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if step % 150 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-50:]) / 50)
