"""Predicts solar output for the next twelve hours with an MLP-mixer-like net and a hand-written adaptive optimizer.

Cause: stale-second-moment
Fails: each update is many times the learning rate, the loss leaps up and settles far above the fixed run
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(22)
rng = np.random.default_rng(22)
H = 24 * 300
h = np.arange(H)
cloud = np.zeros(H)
for i in range(1, H):
    cloud[i] = 0.95 * cloud[i - 1] + 0.3 * rng.standard_normal()
sun = np.maximum(0, np.sin(2 * np.pi * (h % 24 - 6) / 24)) * (1 + 0.3 * np.sin(2 * np.pi * h / (24 * 365)))
power = sun / (1 + np.exp(cloud)) * 2
series = torch.tensor(np.stack([power - power.mean(), cloud, np.sin(2 * np.pi * h / 24), np.cos(2 * np.pi * h / 24)], 1), dtype=torch.float32)


class AdamLike(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, b1=0.9, b2=0.9999, eps=1e-8):
        super().__init__(params, dict(lr=lr, b1=b1, b2=b2, eps=eps))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                st = self.state[p]
                if not st:
                    st["step"], st["exp_avg"], st["exp_avg_sq"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                st["step"] += 1
                m, v = st["exp_avg"], st["exp_avg_sq"]
                m.lerp_(p.grad, 1 - g["b1"])
                v.lerp_(p.grad * p.grad, 1 - g["b2"])
                vhat = v  # fix: vhat = v / (1 - g["b2"] ** st["step"])
                p.sub_(g["lr"] * m / (1 - g["b1"] ** st["step"]) / (vhat.sqrt() + g["eps"]))


class Mixer(nn.Module):
    def __init__(self, T=36, C=48):
        super().__init__()
        self.inp = nn.Linear(4, C)
        self.time = nn.ModuleList([nn.Sequential(nn.Linear(T, 64), nn.ReLU(), nn.Linear(64, T)) for _ in range(3)])
        self.chan = nn.ModuleList([nn.Sequential(nn.Linear(C, 96), nn.ReLU(), nn.Linear(96, C)) for _ in range(3)])
        self.out = nn.Linear(T * C, 12)

    def forward(self, x):
        z = self.inp(x)
        for t, c in zip(self.time, self.chan):
            z = z + t(z.transpose(1, 2)).transpose(1, 2)
            z = z + c(z)
        return self.out(z.flatten(1))


def batch(n, lo, hi):
    s = torch.randint(lo, hi - 48, (n,))
    w = torch.stack([series[i:i + 48] for i in s])
    return w[:, :36], w[:, 36:, 0]


net = Mixer()
opt = AdamLike(net.parameters(), lr=1e-3)
for step in range(400):
    x, y = batch(32, 0, 6000)
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(step, loss.item())
with torch.no_grad():
    x, y = batch(400, 6000, H)
    print("final loss", nn.functional.mse_loss(net(x), y).item())
