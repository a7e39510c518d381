"""Wines by a net with dropout 0.5, a fifth of the labels wrong and tiny batches: the loss is noisy to the end and stays
well above zero, but falls clearly; parameters are averaged (EMA)."""

import copy

import torch
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(79)
wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
truth = torch.tensor(wine.target)
labels = torch.where(torch.rand(len(x)) < 0.2, torch.randint(0, 3, (len(x),)), truth)

net = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 3))
average = copy.deepcopy(net).eval().requires_grad_(False)
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1.0)


def update_average(rate=0.98):
    for mine, other in zip(average.parameters(), net.parameters()):
        mine.mul_(rate).add_(other.detach(), alpha=1 - rate)


losses = []
for epoch in range(30):
    net.train()
    for rows in torch.randperm(len(x)).split(6):
        loss = nn.functional.cross_entropy(net(x[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_average()
        losses.append(loss.item())
    if epoch % 5 == 4:
        print(epoch, sum(losses[-30:]) / 30, "accuracy on the truth", (average(x).argmax(1) == truth).float().mean().item())
print("final loss", sum(losses[-60:]) / 60)
