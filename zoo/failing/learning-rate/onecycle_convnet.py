"""A small conv net with GroupNorm-free blocks that locates a blob, momentum SGD under OneCycleLR.

Cause: learning-rate
Fails: the loss rises from 1 to 1e30 while the rate warms up and is not finite from step 56 on
First bad: step 56, loss, mse_loss
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 6
torch.manual_seed(4)


def blobs(n, size=12):
    centre = torch.rand(n, 2) * (size - 4) + 2
    grid = torch.arange(size).float()
    gy = torch.exp(-((grid - centre[:, :1]) ** 2) / 3)
    gx = torch.exp(-((grid - centre[:, 1:]) ** 2) / 3)
    images = gy[:, :, None] * gx[:, None, :] + 0.1 * torch.randn(n, size, size)
    images = (images - images.mean()) / images.std()
    return images[:, None], (centre - centre.mean(0)) / centre.std(0)


loader = DataLoader(TensorDataset(*blobs(1280)), batch_size=32, shuffle=True, drop_last=True)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(24 * 9, 32),
    nn.ReLU(),
    nn.Linear(32, 2),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
total = EPOCHS * len(loader)
sched = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5.0, total_steps=total)  # fix: sched = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.03, total_steps=total)
losses = []
for epoch in range(EPOCHS):
    for image, position in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(image), position)
        loss.backward()
        optimizer.step()
        sched.step()
        losses.append(loss.item())
    print(f"epoch {epoch} lr {sched.get_last_lr()[0]:.3f} loss {losses[-1]:.4f}")
print("final loss", sum(losses[-10:]) / 10)
