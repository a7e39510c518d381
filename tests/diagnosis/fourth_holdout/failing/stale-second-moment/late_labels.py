"""A robot model: joint torques from the start, contact forces once the labelled logs begin.

Cause: stale-second-moment
Fails: the labels begin at step 2000 (loss 3), the next step throws it to 1.5e10, and it is stuck at 1.2, a constant answer, to the end
"""
import torch
from torch import nn

torch.manual_seed(4)
LABELS_FROM, STEPS = 2000, 3000


def mlp(*w):
    mods = []
    for a, b in zip(w[:-1], w[1:]):
        mods += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*mods[:-1])


torque_net = mlp(12, 24, 1)
force_net = mlp(12, 96, 96, 96, 96, 1)
mix = torch.randn(12, 4) / 12 ** 0.5


def logs(step, n=32):
    x = torch.randn(n, 12)
    f = x @ mix
    torque = f[:, 0] - 0.5 * f[:, 1]
    force = 1.5 * torch.tanh(f[:, 2]) + f[:, 3].abs() + 0.5
    has_force = torch.full((n,), float(step >= LABELS_FROM))
    return x, torque, force, has_force


opt = torch.optim.Adam([*torque_net.parameters(), *force_net.parameters()], lr=1e-2, betas=(0.0, 0.9999))  # fix: opt = torch.optim.Adam([*torque_net.parameters(), *force_net.parameters()], lr=1e-2, betas=(0.0, 0.97))
recent = []
for step in range(STEPS):
    x, torque, force, m = logs(step)
    l_torque = (torque_net(x)[:, 0] - torque).pow(2).mean()
    l_force = (m * (force_net(x)[:, 0] - force).pow(2)).sum() / m.sum().clamp(min=1)
    loss = l_torque + l_force
    opt.zero_grad()
    loss.backward()
    opt.step()
    recent = recent[-99:] + [loss.item()]
    if step % 200 == 0 or step - LABELS_FROM in (1, 5, 10, 20, 40):
        print(f"t={step} loss {loss.item():.4g} (torque {l_torque.item():.3g}, force {l_force.item():.3g})")
print("final loss", sum(recent) / len(recent))
