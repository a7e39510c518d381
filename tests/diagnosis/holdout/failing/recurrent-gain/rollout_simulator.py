"""A learned simulator of a driven oscillator, unrolled 70 steps in latent space with one shared cell.

Cause: recurrent-gain
Fails: the latent state expands each step, the loss starts above 1e10 and stays far above the trajectory variance
"""

import torch
import torch.nn.functional as F


class Cell(torch.nn.Module):
    def __init__(self, width, ctrl, dt=0.25):
        super().__init__()
        self.dt = dt
        self.rec = torch.nn.Linear(width, width)
        self.inp = torch.nn.Linear(ctrl, width, bias=False)
        torch.nn.init.normal_(self.rec.weight, std=1.0 / width**0.5)

    def forward(self, h, u):
        cand = F.elu(self.rec(h) + self.inp(u))
        return h + cand * 0.5  # fix: return h + (torch.tanh(cand) - h) * self.dt


class Simulator(torch.nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embed = torch.nn.Linear(2, width)
        self.cell = Cell(width, 1)
        self.read = torch.nn.Linear(width, 2)

    def forward(self, state0, controls):
        h = self.embed(state0)
        traj = []
        for u in controls.unbind(1):
            h = self.cell(h, u)
            traj.append(self.read(h))
        return torch.stack(traj, 1)


def simulate(n, steps):
    s = torch.randn(n, 2)
    start = s.clone()
    u = torch.randn(n, 1, 1) * torch.sin(torch.arange(steps).view(1, -1, 1) * 0.2)
    out = []
    for k in range(steps):
        pos, vel = s[:, :1], s[:, 1:]
        vel = vel + 0.1 * (-pos - 0.3 * vel + u[:, k])
        s = torch.cat([pos + 0.1 * vel, vel], 1)
        out.append(s)
    return start, u, torch.stack(out, 1)


def main():
    torch.manual_seed(42)
    start, ctrl, traj = simulate(512, 70)
    sim = Simulator()
    optimizer = torch.optim.RMSprop(sim.parameters(), lr=2e-3)
    losses = []
    for epoch in range(12):
        perm = torch.randperm(512)
        for ids in perm.split(64):
            optimizer.zero_grad()
            loss = (sim(start[ids], ctrl[ids]) - traj[ids]).pow(2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(epoch, losses[-1])
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
