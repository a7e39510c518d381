"""An all-convolutional classifier of 16x16 grating textures, torchvision-like builder code.

Cause: init-gain
Fails: the first loss is near 2e4 and training stays far above log(8)
"""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(11)


class Gratings(Dataset):
    """Eight orientations of a noisy sinusoid, zero mean and unit variance."""

    def __init__(self, n=1024, size=16, classes=8):
        yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        self.labels = torch.randint(0, classes, (n,))
        theta = self.labels * math.pi / classes
        phase = torch.rand(n) * 2 * math.pi
        wave = torch.cos(theta)[:, None, None] * xx + torch.sin(theta)[:, None, None] * yy
        img = torch.sin(wave * 1.2 + phase[:, None, None]) + 0.4 * torch.randn(n, size, size)
        self.images = ((img - img.mean()) / img.std()).unsqueeze(1)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


def make_layers(cfg, in_channels=1):
    layers = []
    for v in cfg:
        if v == "P":
            layers.append(nn.AvgPool2d(2))
        else:
            layers += [nn.Conv2d(in_channels, v, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = v
    return nn.Sequential(*layers)


class AllConv(nn.Module):
    def __init__(self, num_classes=8):
        super().__init__()
        self.features = make_layers([12, 12, "P", 16, 16, "P", 24, 24, 24])
        self.head = nn.Linear(24, num_classes)
        self._initialize_weights()

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.normal_(m.weight, std=1.0)  # fix: nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = self.features(x)
        return self.head(x.mean(dim=(2, 3)))


train_loader = DataLoader(Gratings(), batch_size=64, shuffle=True, drop_last=True)
net = AllConv()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=5e-4)

losses = []
for epoch in range(10):
    net.train()
    for images, labels in train_loader:
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch} loss {sum(losses[-20:]) / 20:.4f}")
print("final loss", sum(losses[-10:]) / 10)
