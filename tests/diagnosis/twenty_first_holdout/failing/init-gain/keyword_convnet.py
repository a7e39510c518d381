"""Trains a plain deep convolutional keyword classifier on synthetic log-mel patches.

Cause: init-gain
Fails: the first loss is in the tens of thousands and the loss is NaN afterwards
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(41)
torch.set_num_threads(1)
NC = 6


def patches(n, g):
    y = torch.randint(0, NC, (n,), generator=g)
    t, f = torch.arange(24.0), torch.arange(16.0)
    slope = (y.float() - 2.5) * 0.2
    c = 8 + slope.view(-1, 1) * (t - 12) + 1.5 * torch.randn(n, 1, generator=g)
    x = torch.exp(-0.5 * ((f.view(1, -1, 1) - c.unsqueeze(1)) / 1.5) ** 2) * 3 + 0.7 * torch.randn(n, 16, 24, generator=g)
    return ((x - 0.6) / 1.1).unsqueeze(1), y


class ConvNet(nn.Module):
    def __init__(self, width=32, depth=12):
        super().__init__()
        layers = []
        for k in range(depth):
            layers += [nn.Conv2d(1 if k == 0 else width, width, 3, padding=1), nn.ReLU()]
            if k in (1, 4):
                layers.append(nn.MaxPool2d(2))
        self.features, self.fc = nn.Sequential(*layers), nn.Linear(width * 24, NC)
        self.apply(self.init)

    def init(self, m):
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(m.weight, 0.0, 0.2)  # fix: nn.init.kaiming_normal_(m.weight)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


g = torch.Generator().manual_seed(3)
X, Y = patches(2000, g)
XV, YV = patches(400, g)
net = ConvNet()
opt = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9, weight_decay=1e-4)
for step in range(300):
    i = torch.randint(0, 2000, (16,), generator=g)
    loss = F.cross_entropy(net(X[i]), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", F.cross_entropy(net(XV), YV).item())
