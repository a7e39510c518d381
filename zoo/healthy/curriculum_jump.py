"""A curriculum: the second half of the training has targets ten times as large, and the network learns them too."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(8, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
direction = torch.randn(8)


def sample(scale, n=64):
    x = torch.randn(n, 8)
    return x, scale * torch.sin(x @ direction / 2).unsqueeze(1)


recent = []
for stage, scale in enumerate([1.0, 10.0]):
    for _ in range(800):
        x, y = sample(scale)
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        recent = [*recent[-49:], loss.item()]
    print(f"stage {stage}: {sum(recent) / len(recent):.5f}")

print("final loss", sum(recent) / len(recent))
