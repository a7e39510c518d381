"""A nearest-prototype classifier learns ten prototypes of standardised digit images.

Cause: nonfinite-data
Fails: border pixels that never change have zero spread, so the standardised table holds nan and so does every loss
"""
import torch
from sklearn.datasets import load_digits

torch.manual_seed(31)
raw = load_digits()
pixels = torch.tensor(raw.data, dtype=torch.float32)
labels = torch.tensor(raw.target)

center = pixels.mean(dim=0)
spread = pixels.std(dim=0)
pixels = (pixels - center) / spread  # fix: pixels = (pixels - center) / (spread + 1e-3)

proto = torch.nn.Parameter(torch.randn(10, 64) * 0.1)
temp = torch.nn.Parameter(torch.tensor(0.02))
opt = torch.optim.Adam([{"params": [proto], "lr": 2e-2}, {"params": [temp], "lr": 1e-3}])

losses = []
for step in range(500):
    pick = torch.randint(0, len(pixels), (100,))
    d2 = (pixels[pick, None] - proto[None]).square().sum(-1)
    loss = torch.nn.functional.cross_entropy(-temp.abs() * d2, labels[pick])
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("first loss", losses[0])
print("final loss", sum(losses[-25:]) / 25)
