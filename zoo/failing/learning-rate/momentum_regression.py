"""An MLP forecaster with momentum 0.99 and a rate that was tuned without momentum.

Cause: learning-rate
Fails: the loss is not finite from step 12 on
First bad: step 12, forward, addmm
"""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(24, 64), nn.Linear(64, 64), nn.Linear(64, 1)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return self.fc3(torch.relu(self.fc2(x)))


torch.manual_seed(5)
t = torch.arange(2024) / 24
series = torch.sin(2 * torch.pi * t) + 0.5 * torch.sin(2 * torch.pi * t / 7) + 0.1 * torch.randn(2024)
windows = series.unfold(0, 25, 1)
model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.99)  # fix: optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.99)
losses = []
for _ in range(400):
    batch = windows[torch.randint(0, len(windows), (32,))]
    loss = (model(batch[:, :24]) - batch[:, 24:]).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
