"""A post-norm-free transformer regressor under Adam with a rate of 0.3 and no warm-up.

Cause: learning-rate
Fails: the loss is not finite from step 3 on
First bad: step 2, backward, addmm
"""

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x):
        scores = self.q(x) @ self.k(x).transpose(1, 2) / x.shape[-1] ** 0.5
        x = x + self.o(scores.softmax(-1) @ self.v(x))
        return x + self.mlp(x)


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 32), *[Attention(32) for _ in range(4)], nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.3)  # fix: optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for _ in range(250):
    x = torch.randn(16, 12, 4)
    y = x.cumsum(1).mean(2, keepdim=True)
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
