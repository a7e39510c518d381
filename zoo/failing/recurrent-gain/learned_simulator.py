"""A learned simulator of a damped pendulum, trained through rollouts of 50 steps.

Cause: recurrent-gain
Fails: the loss is not finite from step 0 on
First bad: step 0, loss, mse_loss
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(8)


def simulate(n, steps, dt=0.1):
    s = torch.stack([torch.rand(n) * 2 - 1, torch.rand(n) * 2 - 1], 1)
    out = [s]
    for _ in range(steps):
        th, om = s[:, 0], s[:, 1]
        om = om + dt * (-torch.sin(th) - 0.3 * om)
        s = torch.stack([th + dt * om, om], 1)
        out.append(s)
    return torch.stack(out, 1)


class Dynamics(nn.Module):
    def __init__(self, dt):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
        self.dt = dt

    def forward(self, s):
        return s + self.dt * self.net(s)


HORIZON = 50
train = simulate(512, HORIZON)
step_fn = Dynamics(dt=100)  # fix: step_fn = Dynamics(dt=0.1)
opt = torch.optim.SGD(step_fn.parameters(), lr=0.02, momentum=0.9)
hist = []
for it in range(120):
    traj = train[torch.randint(0, 512, (32,))]
    s = traj[:, 0]
    preds = []
    for t in range(HORIZON):
        s = step_fn(s)
        preds.append(s)
    loss = F.mse_loss(torch.stack(preds, 1), traj[:, 1:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if it % 30 == 0:
        print(it, hist[-1])
print("final loss", sum(hist[-10:]) / 10)
