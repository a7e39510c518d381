"""RNN that rolls out enemy motion for a game from 6 seen frames to 40 unseen ones, feeding its own output back.

Cause: recurrent-gain
Fails: the loss starts at 5e14 and ends at 1.2e9
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(33)
np.random.seed(33)
DT, SEEN, AHEAD = 0.1, 6, 40


def patrols(n):
    phase = np.random.uniform(0, 2 * np.pi, (n, 1))
    speed = np.random.uniform(0.8, 1.2, (n, 1))
    t = np.arange(SEEN + AHEAD)[None] * DT
    a = phase + speed * t * 2
    return torch.tensor(np.stack([np.cos(a), np.sin(a)], -1), dtype=torch.float32)


class MotionNet(nn.Module):
    """state -> state + delta, no simulator in the loop"""

    def __init__(self, hid=64):
        super().__init__()
        self.read = nn.Linear(2, hid)
        self.mix = nn.Linear(hid, hid)
        self.pos = nn.Linear(hid, 2)
        self.gain = 1.0  # fix: self.gain = 0.1

    def cell(self, h, p):
        return h + self.gain * nn.functional.elu(self.mix(h) + self.read(p))

    def forward(self, seen):
        h = torch.zeros(seen.shape[0], self.mix.in_features)
        for t in range(seen.shape[1]):
            h = self.cell(h, seen[:, t])
        out, p = [], self.pos(h)
        for _ in range(AHEAD):
            out.append(p)
            h = self.cell(h, p)
            p = self.pos(h)
        return torch.stack(out, 1)


net = MotionNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.996)
mse = []
for i in range(350):
    tr = patrols(48)
    loss = (net(tr[:, :SEEN]) - tr[:, SEEN:]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    mse.append(loss.item())
    if i % 50 == 0:
        print(i, mse[-1])
print("final loss", float(np.mean(mse[-20:])))
