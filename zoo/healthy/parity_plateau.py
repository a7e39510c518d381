"""Parity of four bits among twenty: the loss lies flat at log 2 for a long time, and then falls."""

import torch
from torch import nn

torch.manual_seed(16)
net = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.04, momentum=0.9)
losses = []
for step in range(1000):
    bits = torch.randint(0, 2, (128, 20)) * 2.0 - 1
    label = (bits[:, :4].prod(1) > 0).float()
    loss = nn.functional.binary_cross_entropy_with_logits(net(bits).squeeze(1), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 100 == 0:
        print(step, loss.item())
print("final loss", sum(losses[-20:]) / 20)
