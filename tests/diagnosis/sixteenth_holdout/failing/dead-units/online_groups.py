"""Small vision net with global pooling and normalised head features.

Cause: dead-units, vanishing-depth
Fails: the pooled feature map has a single value per group, so the normalisation returns
zero for every picture and the net can only learn the class prior.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(10)


class Net(nn.Module):
    def __init__(self, c=32, classes=5):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                  nn.Conv2d(c, c, 3, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.GroupNorm(c, c)  # fix: self.norm = nn.GroupNorm(4, c)
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        return self.fc(self.norm(self.pool(self.stem(x))).flatten(1))


colour = torch.rand(5, 3, 1, 1)
freq = torch.tensor([0.3, 0.8, 1.4, 0.5, 1.1])
lab = torch.randint(0, 5, (1500,))
yy = torch.arange(12).float()
wave = torch.sin(freq[lab][:, None] * yy + 6.28 * torch.rand(1500, 1))
img = colour[lab] * (1 + wave[:, None, :, None]) + 0.3 * torch.randn(1500, 3, 12, 12)
net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
for ep in range(13):
    t = 0.0
    for b in torch.randperm(1500).split(30):
        loss = F.cross_entropy(net(img[b]), lab[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        t += loss.item() / 50
    print(f"epoch {ep}: {t:.4f}")
print(f"final loss {t:.5f}")
