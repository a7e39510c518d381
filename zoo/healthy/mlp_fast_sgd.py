"""A two-layer perceptron on two spirals-like blobs with a large learning rate that trains well.

Variants: --lr 0.5 | --lr 1.0
"""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make_moons(count):
    angle = torch.rand(count) * torch.pi
    upper = torch.rand(count) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos())
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin())
    points = torch.stack([x, y], 1) + 0.1 * torch.randn(count, 2)
    return points, upper.long()


def train(lr, epochs=15):
    torch.manual_seed(0)
    points, labels = make_moons(2000)
    loader = DataLoader(TensorDataset(points, labels), batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        total = 0.0
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.4f}")
    with torch.no_grad():
        print("final loss", criterion(model(points), labels).item())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.5)
    train(parser.parse_args().lr)
