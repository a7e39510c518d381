"""A physics-informed net solves a damped oscillator; 8 tanh layers.

Cause: vanishing-depth
Fails: the loss stays at 0.30, where it began
"""

import torch
from torch import nn


class Field(nn.Module):
    def __init__(self, depth=8, width=32, scale=0.15):  # fix: def __init__(self, depth=8, width=32, scale=1.2):
        super().__init__()
        sizes = [1] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.out = nn.Linear(width, 1)
        for linear in self.hidden:
            nn.init.normal_(linear.weight, std=scale / linear.in_features**0.5)
            nn.init.zeros_(linear.bias)

    def forward(self, t):
        h = t
        for linear in self.hidden:
            h = torch.tanh(linear(h))
        return self.out(h)


def residual(field, t, damping=0.4, stiffness=4.0):
    t = t.requires_grad_()
    u = field(t)
    du = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
    ddu = torch.autograd.grad(du.sum(), t, create_graph=True)[0]
    return ddu + damping * du + stiffness * u


torch.manual_seed(33)
field = Field()
optimizer = torch.optim.SGD(field.parameters(), lr=0.02, momentum=0.9)
measured_t = torch.linspace(0, 3, 20).unsqueeze(1)
measured_u = torch.exp(-0.2 * measured_t) * torch.cos(1.99 * measured_t)
losses = []
for step in range(400):
    physics = residual(field, 3 * torch.rand(32, 1)).square().mean()
    data = (field(measured_t) - measured_u).square().mean()
    loss = data + 0.01 * physics
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
