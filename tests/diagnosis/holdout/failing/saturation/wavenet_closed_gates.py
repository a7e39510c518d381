"""A WaveNet-like gated convolution stack predicting the next sample of a modulated tone.

Cause: saturation
Fails: every sigmoid gate is pinned at zero by its bias, neither filters nor gates get a usable gradient and the loss stays at the variance
"""

import argparse
import math

import torch
from torch import nn
import torch.nn.functional as F


GATE_BIAS = -25.0  # fix: GATE_BIAS = 0.0


class GatedBlock(nn.Module):
    def __init__(self, ch, dilation, gate_bias):
        super().__init__()
        self.pad = dilation
        self.filt = nn.Conv1d(ch, ch, 2, dilation=dilation)
        self.gate = nn.Conv1d(ch, ch, 2, dilation=dilation)
        self.res, self.skip = nn.Conv1d(ch, ch, 1), nn.Conv1d(ch, ch, 1, bias=False)
        nn.init.constant_(self.gate.bias, gate_bias)

    def forward(self, x):
        xp = F.pad(x, (self.pad, 0))
        z = torch.tanh(self.filt(xp)) * torch.sigmoid(self.gate(xp))
        return x + self.res(z), self.skip(z)


class WaveNet(nn.Module):
    def __init__(self, ch=16, dilations=(1, 2, 4, 8), gate_bias=0.0):
        super().__init__()
        self.inp = nn.Conv1d(1, ch, 1)
        self.blocks = nn.ModuleList([GatedBlock(ch, d, gate_bias) for d in dilations])
        self.out = nn.Conv1d(ch, 1, 1)

    def forward(self, x):
        x, total = self.inp(x), 0.0
        for b in self.blocks:
            x, s = b(x)
            total = total + s
        return self.out(total)


def tones(n, length=64):
    t = torch.arange(length + 1.0)
    f = 0.15 + 0.25 * torch.rand(n, 1)
    env = 1 + 0.4 * torch.sin(2 * math.pi * t / 40 + 6.28 * torch.rand(n, 1))
    return 1.3 * env * torch.sin(f * t * 2 + 6.28 * torch.rand(n, 1))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--iters", type=int, default=200)
    ap.add_argument("--gate-bias", type=float, default=GATE_BIAS)
    args = ap.parse_args()
    torch.manual_seed(7)
    net = WaveNet(gate_bias=args.gate_bias)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(args.iters):
        w = tones(24).unsqueeze(1)
        loss = F.mse_loss(net(w[..., :-1]), w[..., 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
