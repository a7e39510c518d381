"""An encoder learns digits 0-6, is saved and loaded from a temporary file; then the body is frozen at first, with a fresh
head for 3 new digits, and unfrozen later with a small rate of its own."""

import pathlib
import tempfile

import torch
from sklearn.datasets import load_digits
from torch import nn


def body():
    return nn.Sequential(nn.Conv2d(1, 16, 3), nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 24, 3, stride=2), nn.SiLU(), nn.Flatten())


def split(raw, wanted):
    keep = torch.tensor([t in wanted for t in raw.target])
    images = torch.tensor(raw.images, dtype=torch.float32).unsqueeze(1) / 16
    return images[keep], torch.tensor(raw.target)[keep] - min(wanted)


def epochs(encoder, head, data, optimizer, count, log):
    x, y = data
    for _ in range(count):
        for rows in torch.randperm(len(x)).split(32):
            loss = nn.functional.cross_entropy(head(encoder(x[rows])), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log.append(loss.item())
        print(len(log), sum(log[-10:]) / 10)


torch.manual_seed(86)
raw, log = load_digits(), []
encoder, head = body(), nn.Linear(96, 7)
epochs(encoder, head, split(raw, range(7)), torch.optim.AdamW([*encoder.parameters(), *head.parameters()], 4e-3), 4, log)
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder) / "encoder.pt"
    torch.save(encoder.state_dict(), file)
    encoder = body()
    encoder.load_state_dict(torch.load(file))
new = split(raw, range(7, 10))
head = nn.Linear(96, 3)
encoder.requires_grad_(False)
epochs(encoder, head, new, torch.optim.AdamW(head.parameters(), 1e-2), 3, log)
encoder.requires_grad_(True)
optimizer = torch.optim.AdamW([{"params": encoder.parameters(), "lr": 5e-4}, {"params": head.parameters(), "lr": 2e-3}])
epochs(encoder, head, new, optimizer, 3, log)
print("final loss", sum(log[-15:]) / 15)
