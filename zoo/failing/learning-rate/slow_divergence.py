"""An autoregressive model whose rate is a hair above the limit: for a long time it looks like learning.

Cause: learning-rate
Fails: the loss falls to 0.09 and then rises to 5e11
"""

import torch
from torch import nn

torch.manual_seed(2)
walk = torch.zeros(1200)
for t in range(2, 1200):
    walk[t] = 1.6 * walk[t - 1] - 0.8 * walk[t - 2] + torch.randn(())
walk = walk / walk.std()
lags = walk.unfold(0, 8, 1)
inputs, targets = lags[:, :-1].contiguous(), lags[:, -1:].contiguous()
sharpness = 2 * torch.linalg.eigvalsh(inputs.t() @ inputs / len(inputs))[-1].item()

model = nn.Linear(7, 1, bias=False)
optimizer = torch.optim.SGD(model.parameters(), lr=2.02 / sharpness)  # fix: optimizer = torch.optim.SGD(model.parameters(), lr=1.0 / sharpness)
for step in range(900):
    loss = nn.functional.mse_loss(model(inputs), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(step, loss.item())
print("final loss", loss.item())
