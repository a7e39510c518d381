"""A warm-up that never ends: after 300 sound steps the rate is beyond what the network stands.

Cause: learning-rate
Fails: the loss falls to about 0.5, then rises and is not finite from step 410 on
First bad: step 410, loss, mse_loss
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
# Meant: min(1, step / 100). Written: exponential, never capped.
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.018**step)  # fix: scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(50.0, 1.018**step))
x = torch.randn(2000, 10)
y = torch.cos(x[:, :1]) + x[:, 1:2] * x[:, 2:3]
recent = []
for step in range(700):
    rows = torch.randint(0, 2000, (64,))
    loss = nn.functional.mse_loss(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    recent = [*recent[-19:], loss.item()]
    if step % 100 == 0:
        print(f"{step} lr {scheduler.get_last_lr()[0]:.4f} loss {loss.item():.4f}")
print("final loss", sum(recent) / len(recent))
