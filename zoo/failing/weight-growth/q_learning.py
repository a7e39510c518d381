"""Q-learning with function approximation, no target network and a discount of 0.99: values chase themselves upwards.

Cause: weight-growth
Fails: the loss grows from step to step and is not finite from step 15 on
First bad: step 15, loss, pow
"""

import torch
from torch import nn

torch.manual_seed(0)
q = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.SGD(q.parameters(), lr=0.05)
losses = []
for _ in range(600):
    state = 3 * torch.randn(32, 4)
    action = torch.randint(0, 2, (32, 1))
    after = 1.1 * state + 0.5 * (action * 2 - 1)
    reward = 1 - 0.1 * state.norm(dim=1)
    target = reward + 0.99 * q(after).max(1).values.detach()
    # fix: target = reward + 0.5 * q(after).max(1).values.detach()
    loss = (q(state).gather(1, action).squeeze(1) - target).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
