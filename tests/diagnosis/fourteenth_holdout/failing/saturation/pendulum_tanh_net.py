"""A net of tanh units predicts the angle of a pendulum from its past.

Cause: saturation
Fails: the loss wanders between 0.4 and 2.3 about where it began
"""

import torch
from torch import nn

torch.manual_seed(52)


def swings(count, length=24):
    angle, speed = torch.rand(count) * 2 - 1, torch.zeros(count)
    path = []
    for _ in range(length):
        speed = speed - 0.15 * torch.sin(angle) - 0.01 * speed
        angle = angle + 0.6 * speed
        path.append(angle)
    return torch.stack(path, 1) + 0.02 * torch.randn(count, length)


class TanhNet(nn.Module):
    def __init__(self, inputs, width=48):
        super().__init__()
        self.a, self.b = nn.Linear(inputs, width), nn.Linear(width, width)
        self.out = nn.Linear(width, 1)
        for layer in (self.a, self.b, self.out):
            nn.init.uniform_(layer.weight, -30, 30)  # fix: nn.init.uniform_(layer.weight, -0.2, 0.2)

    def forward(self, x):
        return torch.tanh(self.out(torch.tanh(self.b(torch.tanh(self.a(x)))))).squeeze(1)


net = TanhNet(12)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
data = swings(400)
data = 0.95 * data / data.abs().max()
losses = []
for step in range(500):
    window = data[torch.randint(0, 400, (48,))]
    begin = int(torch.randint(0, 11, ()))
    target = window[:, begin + 12]
    loss = nn.functional.mse_loss(net(window[:, begin : begin + 12]), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 60 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-30:]) / 30)
