"""A small conv net tells crosses, squares and rings apart; RMSprop with a very long memory.

Cause: stale-second-moment
Fails: the loss jumps from 1.1 to 184 at step 1 and stays at 1.1, the level of guessing
"""

import torch
import torch.nn.functional as F
from torch import nn


def picture(kind, size=14):
    image = torch.zeros(size, size)
    r = int(torch.randint(2, 5, ()))
    y, x = torch.randint(r, size - r, (2,)).tolist()
    if kind == 0:
        image[y - r : y + r + 1, x] = 1
        image[y, x - r : x + r + 1] = 1
    elif kind == 1:
        image[y - r : y + r + 1, x - r : x + r + 1] = 1
    else:
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        distance = ((rows - y) ** 2 + (columns - x) ** 2).float().sqrt()
        image[(distance - r).abs() < 0.7] = 1
    return image + 0.3 * torch.randn(size, size)


class ShapeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24 * 3 * 3, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def main():
    torch.manual_seed(14)
    labels = torch.randint(0, 3, (900,))
    images = torch.stack([picture(int(k)) for k in labels]).unsqueeze(1)
    net = ShapeNet()
    optimizer = torch.optim.RMSprop(
        net.parameters(),
        lr=1e-3,
        alpha=0.99999,  # fix: alpha=0.98,
        momentum=0.5,
    )
    track = []
    for epoch in range(9):
        for index in torch.randperm(900).split(36):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images[index]), labels[index])
            loss.backward()
            optimizer.step()
            track.append(loss.item())
        print(f"epoch {epoch + 1}: {sum(track[-25:]) / 25:.4f}")
    print("final loss", sum(track[-10:]) / 10)


if __name__ == "__main__":
    main()
