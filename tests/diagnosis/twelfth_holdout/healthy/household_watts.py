"""Household power in watts, heating share by a small conv net, errors in watts squared."""
import torch
import torch.nn as nn

torch.manual_seed(3)
T = 24 * 4


class Denoise(nn.Module):
    """Estimate the heating share (W) from the total (W)."""

    def __init__(self, c=16):
        super().__init__()
        self.c1 = nn.Conv1d(1, c, 9, padding=4)
        self.c2 = nn.Conv1d(c, c, 9, padding=8, dilation=2)
        self.c3 = nn.Conv1d(c, 1, 9, padding=4)

    def forward(self, x):
        h = torch.relu(self.c1(x[:, None] / 1000))
        h = torch.relu(self.c2(h))
        return self.c3(h)[:, 0] * 1000


net = Denoise()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
t = torch.arange(T).float() / 4
shape = torch.relu(torch.cos((t - 3) / 24 * 2 * torch.pi))


def pair(n):
    a = torch.rand(n, 1)
    heat = 900 * shape * a
    rest = torch.zeros(n, T) + 150 + 50 * torch.rand(n, 1)
    for h in (7.5, 12.5, 19.0):
        rest = rest + 2200 * torch.exp(-((t - h - torch.randn(n, 1) * 0.5) / 0.5) ** 2)
    return heat + rest + 30 * torch.randn(n, T), heat


@torch.no_grad()
def evaluate(n=500):
    x, y = pair(n)
    err = net(x) - y
    return 1 - (err.pow(2).mean() / y.var()).item(), err.abs().mean().item()


for i in range(400):
    x, y = pair(32)
    loss = (net(x) - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if i % 50 == 0:
        print(f"{i} loss {loss.item():.0f} W^2")

r2, mae = evaluate()
print(f"mean absolute error {mae:.1f} W")
print(f"final R2 {r2:.4f}")
