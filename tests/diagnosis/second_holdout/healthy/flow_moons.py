"""RealNVP flow on two moons; the negative log-likelihood goes below zero."""
import math
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(1)
pts = torch.tensor(make_moons(4000, noise=0.06, random_state=0)[0], dtype=torch.float32) * 0.2


class Coupling(nn.Module):
    def __init__(self, swap):
        super().__init__()
        self.swap = swap
        self.net = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.swap else (x[:, :1], x[:, 1:])
        s, t = self.net(a).chunk(2, 1)
        s = 2 * torch.tanh(s)
        b = b * s.exp() + t
        return torch.cat([b, a] if self.swap else [a, b], 1), s[:, 0]


flow = nn.ModuleList(Coupling(k % 2 == 0) for k in range(6))
opt = torch.optim.Adam(flow.parameters(), lr=5e-4)
for step in range(500):
    z = pts[torch.randint(len(pts), (256,))]
    ld = 0.0
    for f in flow:
        z, s = f(z)
        ld = ld + s
    nll = (0.5 * z.square().sum(1) + math.log(2 * math.pi) - ld).mean()
    opt.zero_grad()
    nll.backward()
    opt.step()
    ema = nll.item() if step == 0 else 0.95 * ema + 0.05 * nll.item()
    if step % 50 == 0:
        print(step, nll.item())
print("final loss", ema)
