"""Recalls the class shown in the first frame after eighty frames of noise, minimal gated unit by hand.

Cause: vanishing-recurrent
Fails: the forget gate starts near 0.27, the first frame is gone after ten steps; the loss stays at ln 6
"""
import torch
import torch.nn as nn

torch.manual_seed(1)
CLASSES, T = 6, 80


class MGU(nn.Module):
    """Minimal gated unit (Zhou et al. 2016), one gate."""

    def __init__(self, n_in, n_hid, keep_bias):
        super().__init__()
        self.gate = nn.Linear(n_in + n_hid, n_hid)
        self.cand = nn.Linear(n_in + n_hid, n_hid)
        nn.init.constant_(self.gate.bias, keep_bias)
        self.n_hid = n_hid

    def forward(self, seq):
        h = seq.new_zeros(seq.size(1), self.n_hid)
        for x in seq:
            keep = torch.sigmoid(self.gate(torch.cat([x, h], 1)))
            new = torch.tanh(self.cand(torch.cat([x, keep * h], 1)))
            h = keep * h + (1 - keep) * new
        return h


def frames(n):
    cls = torch.randint(0, CLASSES, (n,))
    seq = torch.randn(T, n, CLASSES + 1) * 0.3
    seq[:, :, -1] = 0
    seq[0] = 0
    seq[0, torch.arange(n), cls] = 2.0
    seq[0, :, -1] = 2.0
    return seq, cls


class Recaller(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = MGU(CLASSES + 1, 40, keep_bias=-1.0)  # fix: self.cell = MGU(CLASSES + 1, 40, keep_bias=4.0)
        self.read = nn.Linear(40, CLASSES)

    def forward(self, seq):
        return self.read(self.cell(seq))


net = Recaller()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
ema = None
for step in range(200):
    seq, cls = frames(32)
    loss = nn.functional.cross_entropy(net(seq), cls)
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    ema = loss.item() if ema is None else 0.9 * ema + 0.1 * loss.item()
    if step % 25 == 0:
        print(step, loss.item())
print("final loss", ema)
