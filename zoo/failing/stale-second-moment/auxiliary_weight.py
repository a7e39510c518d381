"""Two heads on a shared trunk; after a long while the weight of the loss is raised from 0.001 to 1.

Cause: stale-second-moment
Fails: the loss jumps from 0.01 to above 3 at step 2600 and is at 0.3 in the end
"""

import torch
from torch import nn

torch.manual_seed(40)
rows = torch.randn(2000, 10)
first = (rows[:, 0] * rows[:, 1]).unsqueeze(1)
second = (rows[:, 2:4].sum(1).sin() + rows[:, 4]).unsqueeze(1)
target = torch.cat([first, second], 1)

layers = [nn.Linear(10, 48), nn.ReLU()]
for _ in range(3):
    layers += [nn.Linear(48, 48), nn.ReLU()]
net = nn.Sequential(*layers, nn.Linear(48, 2))
optimizer = torch.optim.Adam(
    net.parameters(),
    lr=8e-3,
    betas=(0.9, 0.9999),  # fix: betas=(0.9, 0.9),
    fused=True,
)

errors = []
for step in range(2800):
    index = torch.randint(0, 2000, (32,))
    error = (net(rows[index]) - target[index]).square().mean()
    weight = 1e-3 if step < 2600 else 1.0
    optimizer.zero_grad()
    (weight * error).backward()
    optimizer.step()
    errors.append(error.item())

print("before the change", sum(errors[2550:2600]) / 50)
print("final loss", sum(errors[-10:]) / 10)
