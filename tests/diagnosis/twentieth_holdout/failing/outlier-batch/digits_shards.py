"""Classifies handwritten digits read from several shards with a plain convolution net.

Cause: outlier-batch
Fails: learns well until the last shard is reached, then the loss explodes
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(12)
bunch = load_digits()
perm = torch.randperm(len(bunch.images))
images = torch.tensor(bunch.images, dtype=torch.float32).unsqueeze(1)[perm]
labels = torch.tensor(bunch.target)[perm]
test_x, test_y = images[1500:] / 16 - 0.3, labels[1500:]


def shards(scale_last):
    for k in range(10):
        x, y = images[k * 150:(k + 1) * 150], labels[k * 150:(k + 1) * 150]
        if k == 9:
            yield x * scale_last - 0.3, y
        else:
            yield x / 16 - 0.3, y


def batches(epoch):
    last = 255.0 if epoch == 6 else 1 / 16  # fix: last = 1 / 16
    for x, y in shards(last):
        for i in range(0, len(x), 30):
            yield x[i:i + 30], y[i:i + 30]


net = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
    nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
)
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
crit = nn.CrossEntropyLoss()
for epoch in range(9):
    for x, y in batches(epoch):
        loss = crit(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        test = crit(net(test_x), test_y).item()
    print("epoch", epoch, "test", test)
print("final loss", test)
