"""Progressively grown regressor: a second stage is faded in at step 400 by a gate that was zero until then.

Cause: stale-second-moment
Fails: Adam has 400 steps of near-zero v for the new stage, the first real gradients move it by many times lr, the loss jumps and stays up
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(10)
BETAS = (0.0, 0.9999)  # fix: BETAS = (0.9, 0.95)


class Grower(nn.Module):
    def __init__(self, d=10, h=96):
        super().__init__()
        self.stem = nn.Linear(d, h)
        self.stage1 = nn.Linear(h, h)
        self.stage2 = nn.ModuleList([nn.Linear(h, h) for _ in range(3)])
        self.out = nn.Linear(h, 1)
        self.alpha = 0.0

    def forward(self, x):
        z = F.silu(self.stage1(F.silu(self.stem(x))))
        r = z
        for layer in self.stage2:
            r = F.silu(layer(r))
        return self.out(z + self.alpha * r).squeeze(1)


w = torch.randn(10, 3)


def sample(n=128):
    x = torch.randn(n, 10)
    s = x @ w / 10**0.5
    return x, torch.sin(2 * s[:, 0]) + s[:, 1] * s[:, 2]


net = Grower()
opt = torch.optim.Adam(net.parameters(), lr=5e-3, betas=BETAS)
losses = []
for step in range(430):
    if step == 400:
        net.alpha = 0.5
    x, y = sample()
    loss = F.mse_loss(net(x), y)
    opt.zero_grad(set_to_none=False)
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 60 == 0:
        print(step, f"{loss.item():.4f}")
print("final loss", sum(losses[-10:]) / 10)
