"""A conv net pools its maps over the whole image and squeezes them with tanh: which of three textures is it?

Cause: saturation
Fails: stays at 1.10
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Textures(Dataset):
    def __init__(self, count=768, size=20):
        self.labels = torch.randint(0, 3, (count,))
        noise = torch.randn(count, size, size)
        rows = (noise + noise.roll(1, 1) + noise.roll(2, 1)) / 3**0.5
        columns = (noise + noise.roll(1, 2) + noise.roll(2, 2)) / 3**0.5
        choice = torch.stack([noise, rows, columns], 1)
        self.images = choice[torch.arange(count), self.labels].unsqueeze(1)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class SqueezedNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 24, 3)
        self.fc1 = nn.Linear(24, 24)
        self.fc2 = nn.Linear(24, 3)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.nn.functional.softplus(self.conv2(x))
        x = x.sum((2, 3))  # fix: x = x.mean((2, 3))
        x = torch.tanh(x)
        x = torch.tanh(self.fc1(x))
        return self.fc2(x)


def run_epoch(net, loader, optimizer, scheduler, losses):
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())


torch.manual_seed(92)
loader = DataLoader(Textures(), batch_size=32, shuffle=True)
net = SqueezedNet()
optimizer = torch.optim.AdamW(net.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=8 * len(loader))
losses = []
for epoch in range(8):
    run_epoch(net, loader, optimizer, scheduler, losses)
    print("epoch", epoch, "loss", round(losses[-1], 4))
print("final loss", sum(losses[-10:]) / 10)
