"""Retrieval-style conv net with generalised-mean (GeM) pooling on synthetic textures, AdamW.

Cause: unsafe-op
Fails: the loss is not finite from step 1 on
First bad: step 0, backward, pow
"""

import torch
from torch import nn


class GeM(nn.Module):
    def __init__(self, p=3.0):
        super().__init__()
        self.p = p

    def forward(self, x):
        x = x.clamp(min=0)  # fix: x = x.clamp(min=1e-3)
        return x.pow(self.p).mean((2, 3)).pow(1 / self.p)


class TextureNet(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Dropout2d(0.05)
        )
        self.pool = GeM()
        self.classify = nn.Linear(16, classes)

    def forward(self, x):
        return self.classify(self.pool(self.features(x)))


def textures(n, size=14):
    y = torch.randint(0, 3, (n,))
    u, v = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    bank = torch.stack([torch.sin(1.2 * u), torch.sin(1.2 * v), torch.sin(0.9 * (u + v))])
    x = bank[y] + 0.8 * torch.randn(n, size, size)
    return x.unsqueeze(1), y


torch.manual_seed(1)
net = TextureNet()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
log = []
for step in range(200):
    x, y = textures(16)
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    log.append(loss.item())
print("final loss", sum(log[-10:]) / 10)
