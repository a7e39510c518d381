"""A network learns the parity of three hidden bits among twelve, long at chance before it falls."""
import math

import torch
from torch import nn

torch.manual_seed(6)
net = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 1))
opt = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-3)
curve = []
for step in range(1200):
    x = torch.randint(0, 2, (64, 12)).float() * 2 - 1
    y = (x[:, 2] * x[:, 5] * x[:, 9] > 0).float()
    loss = nn.functional.binary_cross_entropy_with_logits(net(x).squeeze(1), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    curve.append(loss.item())
    if step % 150 == 0:
        print(step, curve[-1], "chance", math.log(2))
print("first loss", curve[0])
print("final loss", sum(curve[-50:]) / 50)
