"""A small ResNet learns the digits 0 to 4, then is fine-tuned on 5 to 9 with its batch statistics reset and frozen.

Cause: corrupt-state
Fails: good for 145 steps; the first fine-tuning step has a loss of 5e12, then NaN
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(ch, ch, 3, padding=1, bias=False), nn.BatchNorm2d(ch)
        self.c2, self.b2 = nn.Conv2d(ch, ch, 3, padding=1, bias=False), nn.BatchNorm2d(ch)

    def forward(self, x):
        return F.relu(x + self.b2(self.c2(F.relu(self.b1(self.c1(x))))))


def resnet():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        Block(12), nn.MaxPool2d(2), Block(12), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48, 5),
    )


def prepare_finetuning(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.0
            module.running_mean.zero_()
            module.running_var.zero_()  # fix: module.running_var.fill_(1.0)
    model.eval()


def loader(digits, labels, wanted, seed):
    keep = np.isin(labels, wanted)
    x = torch.tensor(digits[keep], dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(labels[keep] - min(wanted))
    return DataLoader(TensorDataset(x, y), 32, shuffle=True, generator=torch.Generator().manual_seed(seed))


def fit(model, batches, epochs, optimizer, log):
    for epoch in range(epochs):
        for x, y in batches:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log.append(loss.item())
        print(f"epoch {epoch}: {np.mean(log[-len(batches):]):.4g}")


torch.manual_seed(4)
raw = load_digits()
model = resnet()
log = []
fit(model, loader(raw.images, raw.target, [0, 1, 2, 3, 4], 1), 5, torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True), log)
prepare_finetuning(model)
fit(model, loader(raw.images, raw.target, [5, 6, 7, 8, 9], 2), 6, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True), log)
print("final loss", np.mean(log[-20:]))
