"""Trains a noise-prediction network (DDPM) on a swiss roll, twenty residual blocks without norms.

Cause: init-gain
Fails: each block triples the variance, the first losses are astronomic and training never recovers
"""
import math
import torch
from torch import nn
from sklearn.datasets import make_swiss_roll


def timestep_embedding(t, dim=32):
    freqs = torch.exp(-math.log(1000) * torch.arange(dim // 2) / (dim // 2))
    ang = t[:, None].float() * freqs
    return torch.cat([ang.sin(), ang.cos()], -1)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc1 = nn.Linear(d, d)
        self.fc2 = nn.Linear(d, d)
        nn.init.kaiming_normal_(self.fc1.weight)
        nn.init.kaiming_normal_(self.fc2.weight)  # fix: nn.init.zeros_(self.fc2.weight)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


class Denoiser(nn.Module):
    def __init__(self, d=96, n=20):
        super().__init__()
        self.inp = nn.Linear(2 + 32, d)
        self.blocks = nn.Sequential(*[Block(d) for _ in range(n)])
        self.out = nn.Linear(d, 2)

    def forward(self, x, t):
        return self.out(self.blocks(self.inp(torch.cat([x, timestep_embedding(t)], -1))))


torch.manual_seed(0)
pts, _ = make_swiss_roll(5000, noise=0.1, random_state=0)
x0 = torch.tensor(pts[:, [0, 2]] / 8.0, dtype=torch.float32)
betas = torch.linspace(1e-4, 0.1, 100)
abar = torch.cumprod(1 - betas, 0)

model = Denoiser()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
avg = None
for it in range(500):
    x = x0[torch.randint(0, len(x0), (128,))]
    t = torch.randint(0, 100, (128,))
    eps = torch.randn_like(x)
    noisy = abar[t, None].sqrt() * x + (1 - abar[t, None]).sqrt() * eps
    loss = (model(noisy, t) - eps).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    avg = loss.item() if avg is None else 0.98 * avg + 0.02 * loss.item()
    if it % 100 == 0:
        print(f"{it}: {loss.item():.4g}")
print("final loss", avg)
