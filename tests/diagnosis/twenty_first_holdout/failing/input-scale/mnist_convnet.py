"""Trains the two-convolution network of the PyTorch MNIST example on the digits of scikit-learn, stored as 8-bit images.

Cause: input-scale
Fails: the loss leaps at the first steps and is NaN soon after
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(1)
torch.set_num_threads(1)
digits = load_digits()
images = (digits.images / 16.0 * 255).astype(np.uint8)
order = np.random.RandomState(0).permutation(len(images))
images, labels = images[order], digits.target[order]


class Digits(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        img = torch.from_numpy(self.x[i]).float()  # fix: img = (torch.from_numpy(self.x[i]).float() / 255 - 0.3) / 0.38
        return img.unsqueeze(0), int(self.y[i])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, 1, 1), nn.Conv2d(32, 64, 3, 1, 1)
        self.dropout = nn.Dropout(0.25)
        self.fc1, self.fc2 = nn.Linear(64 * 16, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        x = torch.flatten(F.max_pool2d(x, 2), 1)
        return F.log_softmax(self.fc2(self.dropout(F.relu(self.fc1(x)))), dim=1)


train_loader = DataLoader(Digits(images[:1400], labels[:1400]), batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(2))
test_loader = DataLoader(Digits(images[1400:], labels[1400:]), batch_size=397)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.8)
for epoch in range(6):
    model.train()
    for b, (x, y) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
        if b % 20 == 0:
            print("epoch", epoch, "batch", b, "loss", round(loss.item(), 4))
    scheduler.step()
model.eval()
with torch.no_grad():
    x, y = next(iter(test_loader))
    print("final loss", F.nll_loss(model(x), y).item())
