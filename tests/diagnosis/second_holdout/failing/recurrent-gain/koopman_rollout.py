"""Learns a latent linear dynamics model (Koopman style) by rolling pendulum trajectories out.

Cause: recurrent-gain
Fails: the roll-out grows by a factor each step, the very first loss is infinite and all that follow NaN
"""
import torch
from torch import nn

torch.manual_seed(7)
T, LATENT = 120, 32


def pendulum(n, dt=0.05):
    th, om = torch.rand(n) * 2 - 1, torch.rand(n) * 2 - 1
    out = []
    for _ in range(T + 1):
        out.append(torch.stack([th, om], -1))
        om = om - dt * torch.sin(th)
        th = th + dt * om
    return torch.stack(out, 1)


class Koopman(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, LATENT))
        self.dec = nn.Linear(LATENT, 2)
        self.K = nn.Parameter(torch.eye(LATENT) + torch.randn(LATENT, LATENT) * 0.1)  # fix: self.K = nn.Parameter(torch.eye(LATENT) * 0.98 + torch.randn(LATENT, LATENT) * 0.002)

    def forward(self, x0, steps):
        z = self.enc(x0)
        preds = []
        for _ in range(steps):
            z = z @ self.K
            preds.append(self.dec(z))
        return torch.stack(preds, 1)


data = pendulum(512)
model = Koopman()
opt = torch.optim.Adam(model.parameters(), lr=5e-4)
for epoch in range(30):
    epoch_loss = 0.0
    for batch in data.split(64):
        pred = model(batch[:, 0], T)
        loss = (pred - batch[:, 1:]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        epoch_loss += loss.item() / 8
    if epoch % 5 == 0:
        print("epoch", epoch, epoch_loss)
print("final loss", epoch_loss)
