"""Seven-segment digits stored as uint8 pixels, LeNet-like net in the PyTorch tutorial style.

Cause: input-scale
Fails: pixels enter as 0..255, the updates overshoot at once and the loss is nan within some steps
"""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(8)

SEG = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]
BOX = {
    "a": (1, 2, 3, 9),
    "b": (2, 8, 8, 9),
    "c": (8, 14, 8, 9),
    "d": (13, 14, 3, 9),
    "e": (8, 14, 2, 3),
    "f": (2, 8, 2, 3),
    "g": (7, 8, 3, 9),
}


def render(n):
    labels = torch.randint(0, 10, (n,))
    img = torch.randint(0, 60, (n, 1, 16, 16))
    for k, lab in enumerate(labels.tolist()):
        dy, dx = torch.randint(0, 2, (1,)).item(), torch.randint(0, 4, (1,)).item()
        for s in SEG[lab]:
            r0, r1, c0, c1 = BOX[s]
            img[k, 0, r0 + dy : r1 + dy, c0 + dx : c1 + dx] += torch.randint(120, 190, (1,)).item()
    return img.clamp(0, 255).to(torch.uint8), labels


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.fc1 = nn.Linear(16 * 5 * 5, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool(F.leaky_relu(self.conv1(x)))
        x = F.leaky_relu(self.conv2(x))
        x = torch.flatten(x, 1)
        return self.fc2(F.leaky_relu(self.fc1(x)))


images, labels = render(1500)
net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
losses = []
for epoch in range(6):
    running = 0.0
    for i, idx in enumerate(torch.randperm(1500).split(30)):
        inputs = images[idx].float()  # fix: inputs = images[idx].float() / 127.5 - 1.0
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels[idx])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        running += loss.item()
        if i % 25 == 24:
            print(f"[{epoch + 1}, {i + 1:5d}] loss: {running / 25:.3f}")
            running = 0.0
print("final loss", sum(losses[-10:]) / 10)
