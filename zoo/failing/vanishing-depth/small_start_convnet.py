"""Ten plain convolutions with tanh, started with weights of 0.01, find where a bar lies in an image.

Cause: vanishing-depth
Fails: stays at 1.61
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


def bars(count, size=10):
    row = torch.randint(0, 5, (count,))
    images = 0.3 * torch.randn(count, 1, size, size)
    for i in range(count):
        images[i, 0, 2 * row[i] : 2 * row[i] + 2] += 1.0
    return images, row


class PlainNet(nn.Module):
    def __init__(self, depth, channels=12):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1 if i == 0 else channels, channels, 3, padding=1) for i in range(depth)])
        self.fc = nn.Linear(channels * 100, 5)
        self.apply(self.start)

    @staticmethod
    def start(module):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=0.01)  # fix: nn.init.xavier_normal_(module.weight, gain=1.2)
            nn.init.zeros_(module.bias)

    def forward(self, x):
        for conv in self.convs:
            x = torch.tanh(conv(x))
        return self.fc(x.flatten(1))


def train(model, images, labels, optimizer, epochs):
    curve = []
    for epoch in range(epochs):
        for rows in torch.randperm(len(images)).split(40):
            loss = F.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curve.append(loss.item())
        print(epoch, curve[-1])
    return curve


if __name__ == "__main__":
    torch.manual_seed(33)
    images, labels = bars(800)
    model = PlainNet(depth=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    curve = train(model, images, labels, optimizer, epochs=8)
    print("final loss", sum(curve[-10:]) / 10)
