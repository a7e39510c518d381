"""Neural ODE for a predator-prey sensor record, RK4 by hand, separate rates for the vector field and the observation scale.

Cause: learning-rate
Fails: the rate of the vector field group is 3 (meant 3e-3); the trajectories blow up, mse goes from 0.44 to 140 and ends at 2e4
"""
import torch
import torch.nn as nn


def lotka(z):
    x, y = z[..., 0], z[..., 1]
    return torch.stack([0.9 * x - 0.7 * x * y, -0.8 * y + 0.6 * x * y], -1)


def rk4(f, z, dt):
    k1 = f(z)
    k2 = f(z + 0.5 * dt * k1)
    k3 = f(z + 0.5 * dt * k2)
    k4 = f(z + dt * k3)
    return z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def rollout(f, z, n, dt=0.15):
    out = []
    for _ in range(n):
        z = rk4(f, z, dt)
        out.append(z)
    return torch.stack(out, 1)


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 2))

    def forward(self, z):
        return self.net(z)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.field = Field()
        self.log_scale = nn.Parameter(torch.zeros(2))

    def forward(self, z0, n):
        return rollout(self.field, z0, n) * self.log_scale.exp()


def main():
    torch.manual_seed(18)
    g = torch.Generator().manual_seed(18)
    z0 = 0.5 + 1.5 * torch.rand(400, 2, generator=g)
    with torch.no_grad():
        traj = rollout(lotka, z0, 12) * torch.tensor([1.2, 0.8])
    traj = traj + 0.02 * torch.randn(traj.shape, generator=g)
    model = Model()
    opt = torch.optim.Adam([
        {"params": model.field.parameters(), "lr": 3.0},  # fix: {"params": model.field.parameters(), "lr": 3e-3},
        {"params": [model.log_scale], "lr": 1e-2},
    ])
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 450)
    last = []
    for it in range(450):
        i = torch.randint(400, (32,), generator=g)
        loss = (model(z0[i], 12) - traj[i]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        last.append(loss.item())
        if it % 50 == 0:
            print(f"iter {it} mse {loss.item():.5g}")
    print("final loss", sum(last[-30:]) / 30)


if __name__ == "__main__":
    main()
