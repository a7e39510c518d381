"""A plain deep ConvNet in the VGG manner on coloured blobs, with the pre-Kaiming Gaussian initialisation.

Cause: vanishing-depth
Fails: std 0.01 shrinks signal and gradient layer by layer, the loss stays at log(4)
"""

import torch
import torch.nn as nn

torch.manual_seed(23)


def conv3x3(cin, cout):
    return nn.Conv2d(cin, cout, kernel_size=3, padding=1)


class DeepPlain(nn.Module):
    def __init__(self, depth=10, ch=16, classes=4):
        super().__init__()
        layers = [conv3x3(3, ch), nn.ReLU()]
        for _ in range(depth):
            layers += [conv3x3(ch, ch), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(ch * 16, classes)
        self.pool = nn.AdaptiveAvgPool2d(4)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.zeros_(m.bias)
            if isinstance(m, nn.Conv2d):
                std = 0.01  # fix: std = (2.0 / (9 * m.in_channels)) ** 0.5
                nn.init.normal_(m.weight, 0, std)

    def forward(self, x):
        return self.classifier(self.pool(self.features(x)).flatten(1))


def coloured_blobs(n):
    y = torch.randint(0, 4, (n,))
    img = torch.randn(n, 3, 8, 8) * 0.6
    for i in range(n):
        r, c = torch.randint(0, 4, (2,)).tolist()
        k = int(y[i])
        img[i, k % 3, r : r + 4, c : c + 4] += 1.5 if k < 3 else -1.5
    return img, y


images, labels = coloured_blobs(960)
images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
net = DeepPlain()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[5], gamma=0.3)
losses = []
for epoch in range(7):
    for idx in torch.randperm(960).split(32):
        loss = criterion(net(images[idx]), labels[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
print("final loss", sum(losses[-10:]) / 10)
