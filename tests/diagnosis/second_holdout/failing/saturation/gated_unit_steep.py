"""Learns which of sixteen noisy channels carry the target with steep sigmoid gates (feature selection).

Cause: saturation
Fails: the gates' steepness pins them at 0 from the start; they get no gradient and nothing passes
"""
import torch
import torch.nn as nn

torch.manual_seed(9)


class GatedSelector(nn.Module):
    def __init__(self, n, steep):
        super().__init__()
        self.alpha = nn.Parameter(torch.rand(n) * 0.5 - 1.0)  # most channels are noise: start closed
        self.steep = steep
        self.net = nn.Sequential(nn.Linear(n, 32, bias=False), nn.Tanh(), nn.Linear(32, 1, bias=False))

    def forward(self, x):
        gate = torch.sigmoid(self.steep * self.alpha)
        return self.net(x * gate).squeeze(-1), gate


def sample(n=128):
    x = torch.randn(n, 16)
    y = torch.tanh(x[:, 3] + x[:, 7]) - x[:, 11]
    return x, y


STEEPNESS = 150.0  # fix: STEEPNESS = 3.0
sel = GatedSelector(16, STEEPNESS)
opt = torch.optim.Adam(sel.parameters(), lr=1e-2)
trace = []
for step in range(1200):
    x, y = sample()
    out, gate = sel(x)
    loss = ((out - y) ** 2).mean() + 1e-3 * gate.sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    trace.append(loss.item())
    if step % 150 == 0:
        print(step, loss.item(), int((gate > 0.5).sum()), "open")
print("final loss", sum(trace[-50:]) / 50)
