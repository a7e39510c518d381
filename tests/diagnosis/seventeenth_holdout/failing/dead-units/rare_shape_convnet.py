"""Trains a small convnet detector of a rare shape.
Cause: dead-units
Fails: the loss ends at the prior entropy; the convolutions never change.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(12)


def images(n):
    x = 0.3 * torch.randn(n, 1, 16, 16)
    y = (torch.rand(n) < 0.15).float()
    for i in range(n):
        r, c = torch.randint(2, 11, (2,)).tolist()
        if y[i] > 0:
            x[i, 0, r:r + 4, c + 1] += 1.5
            x[i, 0, r + 1, c:c + 3] += 1.5
        else:
            x[i, 0, r:r + 4, c] += 1.5
    return x, y


X, Y = images(1200)
PRIOR = 0.15


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(24, 24, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        )
        self.score = nn.Linear(24, 1)
        b = math.log(PRIOR / (1 - PRIOR))
        for m in self.modules():  # fix: for m in [self.score]:
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.constant_(m.bias, b)

    def forward(self, x):
        return self.score(self.features(x)).squeeze(1)


model = Detector()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(14):
    perm = torch.randperm(len(X))
    s = 0.0
    for k in range(0, len(X), 40):
        j = perm[k:k + 40]
        loss = loss_fn(model(X[j]), Y[j])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(j)
    if epoch % 3 == 0:
        print("epoch", epoch, round(s / len(X), 4))
print("final loss", round(s / len(X), 4))
