"""Mixed-precision training of a conv net that counts dots in an image, with a Trainer class.

Cause: clip-before-unscale
Fails: stays at 1.39
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def dots(count, size=16):
    images = torch.zeros(count, 1, size, size)
    labels = torch.randint(0, 4, (count,))
    for i, label in enumerate(labels.tolist()):
        for _ in range(label + 1):
            y, x = torch.randint(0, size - 2, (2,)).tolist()
            images[i, 0, y : y + 2, x : x + 2] += 1.0
    return images + 0.05 * torch.randn_like(images), labels


class Trainer:
    def __init__(self, model, loader, epochs):
        self.model, self.loader, self.epochs = model, loader, epochs
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
        self.scaler = torch.amp.GradScaler("cpu")
        self.criterion = nn.CrossEntropyLoss()
        self.losses = []

    def step(self, images, labels):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.criterion(self.model(images), labels)
        self.scaler.scale(loss).backward()
        # fix: self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(loss.item())

    def run(self):
        for epoch in range(self.epochs):
            for images, labels in self.loader:
                self.step(images, labels)
            print(f"[{epoch + 1}/{self.epochs}] loss {self.losses[-1]:.4f}")
        return sum(self.losses[-10:]) / 10


if __name__ == "__main__":
    torch.manual_seed(17)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 4),
    )
    loader = DataLoader(TensorDataset(*dots(1024)), batch_size=32, shuffle=True)
    print("final loss", Trainer(model, loader, epochs=8).run())
