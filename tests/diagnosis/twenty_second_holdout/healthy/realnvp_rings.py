"""RealNVP on tightly concentrated two-dimensional data: negative log likelihood starts at hundreds and ends below zero."""
import math
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(33)


def data(n):
    th = torch.rand(n) * 2 * math.pi
    r = 0.25 + 0.01 * torch.randn(n)
    return torch.stack([r * th.cos() + 3.0, 0.05 * r * th.sin() - 1.0], 1)


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        s, t = self.net(a).chunk(2, 1)
        s = 2 * torch.tanh(s / 2)
        b = b * s.exp() + t
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), s.squeeze(1)


class ActNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.ls, self.b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return (x + self.b) * self.ls.exp(), self.ls.sum().expand(len(x))


flow = nn.ModuleList([m for i in range(6) for m in (ActNorm(), Coupling(i % 2 == 0))])


def nll(x):
    ld = 0.0
    for f in flow:
        x, l = f(x)
        ld = ld + l
    return (0.5 * (x ** 2).sum(1) + math.log(2 * math.pi) - ld).mean()


opt = torch.optim.Adam(flow.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 800)
trail = []
for i in range(800):
    loss = nll(data(192))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 50.0)
    opt.step()
    sched.step()
    trail.append(loss.item())
    if i % 80 == 0:
        print(f"{i} nll {loss.item():.4f}")
print("final loss", sum(trail[-20:]) / 20)
