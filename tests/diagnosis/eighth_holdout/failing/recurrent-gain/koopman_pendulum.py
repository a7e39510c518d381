"""Koopman autoencoder of a damped pendulum: linear latent dynamics rolled out for 40 steps.
Cause: recurrent-gain
Fails: the loss starts near 1e19 and is still 1e14 after 250 steps (fixed run 0.64 to 0.005)
"""
from dataclasses import dataclass
import math
import torch
from torch import nn


@dataclass
class Cfg:
    latent: int = 24
    horizon: int = 40
    batch: int = 64
    steps: int = 250
    lr: float = 2e-3
    seed: int = 11


def simulate(n, horizon, dt=0.1):
    th = (torch.rand(n) * 2 - 1) * 1.5
    om = torch.randn(n) * 0.5
    out = []
    for _ in range(horizon + 1):
        out.append(torch.stack([th, om], -1))
        for _ in range(4):
            om = om + dt / 4 * (-math.pi * th.sin() - 0.15 * om)
            th = th + dt / 4 * om
    return torch.stack(out, 1)


class Koopman(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(2, 64), nn.ELU(), nn.Linear(64, d))
        self.dec = nn.Sequential(nn.Linear(d, 64), nn.ELU(), nn.Linear(64, 2))
        self.K = nn.Parameter(torch.randn(d, d) * 0.35)  # fix: self.K = nn.Parameter(torch.eye(d))

    def rollout(self, x0, T):
        z = self.enc(x0)
        frames = []
        for _ in range(T):
            z = z @ self.K
            frames.append(self.dec(z))
        return torch.stack(frames, 1)


def main(cfg):
    torch.manual_seed(cfg.seed)
    data = simulate(1024, cfg.horizon)
    model = Koopman(cfg.latent)
    opt = torch.optim.Adam(model.parameters(), cfg.lr)
    log = []
    for it in range(cfg.steps):
        traj = data[torch.randint(0, len(data), (cfg.batch,))]
        pred = model.rollout(traj[:, 0], cfg.horizon)
        loss = (pred - traj[:, 1:]).pow(2).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        log.append(float(loss))
        if it % 25 == 0:
            print(it, f"{log[-1]:.5g}")
    print("final loss", sum(log[-20:]) / 20)


if __name__ == "__main__":
    main(Cfg())
