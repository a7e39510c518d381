"""Appliances are told apart by their power draw: a conv encoder, then bilinear attention over time with a learned query.

Cause: attention-logits
Fails: the loss does not fall, jumps above 10 from step 87 on and is NaN from step 126 on
"""

import torch
from torch import nn
import torch.nn.functional as F


class BilinearPooling(nn.Module):
    """Every step asks all steps through a bilinear form; their answers are averaged."""

    def __init__(self, width):
        super().__init__()
        self.form = nn.Parameter(torch.randn(width, width) / width**0.5)

    def forward(self, h):
        h_key = h
        scores = torch.einsum("btd,de,bse->bts", h, self.form, h_key)  # fix: scores = torch.einsum("btd,de,bse->bts", F.normalize(h, dim=-1), self.form, F.normalize(h_key, dim=-1))
        return (scores.softmax(-1) @ h).mean(1)


class Appliances(nn.Module):
    def __init__(self, classes=4, width=128):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(1, width, 7, stride=3), nn.ReLU(), nn.Conv1d(width, width, 3), nn.ReLU())
        self.pool = BilinearPooling(width)
        self.classify = nn.Linear(width, classes)

    def forward(self, x):
        return self.classify(self.pool(self.encoder(x.unsqueeze(1)).transpose(1, 2)))


def draw(count):
    label = torch.randint(0, 4, (count,))
    t = torch.arange(60.0)
    start = torch.randint(5, 30, (count, 1))
    on = ((t >= start) & (t < start + 25)).float()
    wave = torch.sin(t * torch.tensor([0.4, 0.8, 1.2, 1.6])[label][:, None] + 6.28 * torch.rand(count, 1))
    return on * (2 + 2 * wave) + 0.3 * torch.randn(count, 60), label


torch.manual_seed(10)
model = Appliances()
optimizer = torch.optim.SGD(model.parameters(), lr=0.14, momentum=0.9)
losses = []
for step in range(200):
    x, label = draw(24)
    loss = F.cross_entropy(model(x), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 25 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-15:]) / 15)
