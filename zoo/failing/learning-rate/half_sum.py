"""A model turned to float16 as a whole; a sum over many features leaves its range when activations have grown.

Cause: learning-rate, loss-scale
Fails: the loss is not finite from step 13 on
First bad: step 13, loss, mse_loss
"""

import torch
from torch import nn


class Energy(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Linear(16, 256)
        self.down = nn.Linear(256, 1)

    def forward(self, x):
        return self.down(torch.relu(self.up(x)) ** 2)


torch.manual_seed(0)
model = Energy().half()
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)  # fix: optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
history = []
for _ in range(300):
    x = torch.randn(64, 16)
    y = 4 * x.square().sum(1, keepdim=True)
    loss = nn.functional.mse_loss(model(x.half()), y.half())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print("final loss", sum(history[-20:]) / 20)
