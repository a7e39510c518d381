"""A small CNN with BatchNorm, Nesterov momentum and a one-cycle schedule with a high peak (super-convergence)."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def stripes(count):
    """Images of stripes in four directions, with noise."""
    grid = torch.arange(16.0)
    labels = torch.randint(0, 4, (count,))
    angle = labels * torch.pi / 4
    phase = torch.rand(count) * 6.3
    wave = angle.cos()[:, None, None] * grid[None, :, None] + angle.sin()[:, None, None] * grid[None, None, :]
    images = torch.sin(1.2 * wave + phase[:, None, None]) + 0.8 * torch.randn(count, 16, 16)
    return images.unsqueeze(1), labels


torch.manual_seed(3)
images, labels = stripes(1600)
model = Net()
epochs, batch = 6, 32
steps = epochs * (len(images) // batch)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=steps)
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)

for epoch in range(epochs):
    for chosen in torch.randperm(len(images)).split(batch):
        loss = criterion(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch} loss {loss.item():.3f}")

model.eval()
with torch.no_grad():
    print("final loss", criterion(model(images), labels).item())
