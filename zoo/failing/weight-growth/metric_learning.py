"""A conv net that embeds small textures so that the same texture lies close and others far away.

Cause: weight-growth
Fails: the embeddings grow without end and the loss falls to -4e5
"""

import torch
from torch import nn

torch.manual_seed(55)
KINDS, SIZE = 8, 12
patterns = torch.randn(KINDS, 1, SIZE, SIZE)


def views(kinds):
    shift = torch.randint(0, 3, (len(kinds),)).tolist()
    rolled = torch.stack([torch.roll(patterns[k], s, dims=2) for k, s in zip(kinds.tolist(), shift)])
    return rolled + 1.6 * torch.randn_like(rolled)


class Embedder(nn.Module):
    def __init__(self, dimensions=16):
        super().__init__()
        self.conv = nn.Conv2d(1, 12, 3)
        self.pool = nn.AvgPool2d(2)
        self.out = nn.Linear(12 * 25, dimensions)

    def forward(self, x):
        return self.out(self.pool(torch.relu(self.conv(x))).flatten(1))


model = Embedder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
history = []
for step in range(300):
    same = torch.randint(0, KINDS, (32,))
    other = (same + torch.randint(1, KINDS, (32,))) % KINDS
    anchor, positive, negative = model(views(same)), model(views(same)), model(views(other))
    near = (anchor - positive).square().sum(1)
    far = (anchor - negative).square().sum(1)
    loss = (near - far).mean()  # fix: loss = torch.relu(near - far + 1.0).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
    if step % 60 == 0:
        print(f"{step}: loss {loss.item():.4f} embedding norm {anchor.norm(dim=1).mean().item():.3f}")
print("final loss", sum(history[-10:]) / 10)
