"""A hand-written linear recurrent cell for a random walk; its memory grows until the rollout explodes.

Cause: recurrent-gain
Fails: the loss starts at 1.5e9 and is not finite from step 1 on
First bad: step 1, loss, pow
"""

import torch
from torch import nn


class LinearRecurrence(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.a = nn.Parameter(1.02 * torch.eye(hidden) + 0.03 * torch.randn(hidden, hidden))
        self.b = nn.Parameter(0.3 * torch.randn(1, hidden))
        self.c = nn.Parameter(0.3 * torch.randn(hidden, 1))

    def forward(self, series):
        h = torch.zeros(series.shape[0], self.a.shape[0])
        outputs = []
        for value in series.split(1, dim=1):
            h = h @ self.a + value @ self.b  # fix: h = torch.tanh(h @ self.a + value @ self.b)
            outputs.append(h @ self.c)
        return torch.cat(outputs, 1)


torch.manual_seed(4)
model = LinearRecurrence(24)
optimizer = torch.optim.RMSprop(model.parameters(), lr=0.02)
losses = []
for _ in range(200):
    walks = torch.randn(16, 81).cumsum(1)
    walks = walks / walks.std()
    loss = (model(walks[:, :-1]) - walks[:, 1:]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
