"""Leaky integrator network (surrogate spikes) that must tell which gesture opened a DVS recording.
Cause: vanishing-recurrent
Fails: the loss stays at ln 4 = 1.386 for all 300 steps (fixed run 4e-4)
"""
import math
import torch
import torch.nn as nn

DT_MS = 1.0
TAU_MEM_MS = 2.0  # fix: TAU_MEM_MS = 80.0


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v > 0).float()

    @staticmethod
    def backward(ctx, g):
        (v,) = ctx.saved_tensors
        return g / (1 + 5 * v.abs()) ** 2


class SNN(nn.Module):
    def __init__(self, n_in=24, hid=64, n_out=4):
        super().__init__()
        self.win = nn.Linear(n_in, hid)
        self.wout = nn.Linear(hid, n_out)
        self.leak = math.exp(-DT_MS / TAU_MEM_MS)

    def forward(self, x):
        v = x.new_zeros(x.shape[0], self.win.out_features)
        o = x.new_zeros(x.shape[0], self.wout.out_features)
        for t in range(x.shape[1]):
            v = self.leak * v + self.win(x[:, t])
            s = Spike.apply(v - 1.0)
            v = v - s
            o = self.leak * o + self.wout(s)
        return o


def events(n, T=40):
    y = torch.randint(0, 4, (n,))
    x = (torch.rand(n, T, 24) < 0.03).float()
    rate = torch.full((n, 24), 0.05)
    for c in range(4):
        rate[y == c, 6 * c:6 * c + 6] = 0.6
    x[:, :8] = (torch.rand(n, 8, 24) < rate[:, None]).float()
    return x, y


torch.manual_seed(14)
net = SNN()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
hist = []
for i in range(300):
    x, y = events(64)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if i % 30 == 0:
        print("iter", i, "loss", round(hist[-1], 4))
print("final loss", sum(hist[-20:]) / 20)
