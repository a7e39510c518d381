"""Fine-tuning: the trunk is frozen for a while and thawed with a rate of its own; learns from a teacher."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(39)


def rings(count):
    x = torch.randn(count, 2) * 1.2
    return x, (x.norm(dim=1) * 2).floor().clamp(max=3).long()


def network(width):
    trunk = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(trunk, nn.Linear(width, 4))


teacher = network(64)
optimizer = torch.optim.Adam(teacher.parameters(), lr=5e-3)
for _ in range(200):
    x, y = rings(64)
    optimizer.zero_grad()
    F.cross_entropy(teacher(x), y, label_smoothing=0.1).backward()
    optimizer.step()

student = network(24)
trunk, head = student
trunk.requires_grad_(False)
optimizer = torch.optim.Adam([{"params": head.parameters(), "lr": 1e-2}])
temperature, losses = 2.0, []
for step in range(400):
    if step == 120:
        trunk.requires_grad_(True)
        optimizer.add_param_group({"params": trunk.parameters(), "lr": 3e-3})
    x, y = rings(48)
    with torch.no_grad():
        soft = F.softmax(teacher(x) / temperature, 1)
    guess = student(x)
    distilled = temperature**2 * F.kl_div(F.log_softmax(guess / temperature, 1), soft, reduction="batchmean")
    loss = 0.7 * distilled + 0.3 * F.cross_entropy(guess, y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
