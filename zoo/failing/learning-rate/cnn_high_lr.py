"""A CNN without normalisation, trained with a rate copied from a BatchNorm recipe.

Cause: learning-rate
Fails: the loss is not finite from step 10 on
First bad: step 10, forward, addmm
"""

import argparse

import torch
from torch import nn


def data(count):
    labels = torch.randint(0, 4, (count,))
    images = torch.randn(count, 1, 16, 16)
    images[torch.arange(count), 0, 4 * (labels // 2), 4 * (labels % 2)] += 6
    return images, labels


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1.5)  # fix: parser.add_argument("--lr", type=float, default=0.02)
    args = parser.parse_args()
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 4),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.9)
    images, labels = data(1024)
    losses = []
    for _ in range(4):
        for rows in torch.randperm(1024).split(32):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
