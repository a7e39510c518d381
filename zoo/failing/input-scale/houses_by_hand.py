"""Linear regression of house prices, gradient descent by hand on three columns.

Cause: input-scale
Fails: the loss is not finite from step 4 on
First bad: step 4, loss, pow
"""

import torch


def houses(n):
    area = 60 + 180 * torch.rand(n)  # square metres
    year = 1950 + 70 * torch.rand(n)
    rooms = torch.randint(2, 8, (n,)).float()
    price = 0.012 * area + 0.01 * (year - 1985) + 0.15 * rooms + 0.1 * torch.randn(n)
    return torch.stack([area, year, rooms], dim=1), price - price.mean()


def main():
    torch.manual_seed(0)
    features, price = houses(400)
    # fix: features = (features - features.mean(0)) / features.std(0)
    weight = torch.zeros(3, requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    losses = []
    for epoch in range(150):
        guess = features @ weight + bias
        loss = ((guess - price) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for p in (weight, bias):
                p -= 0.1 * p.grad
                p.grad = None
        losses.append(loss.item())
        if epoch % 30 == 0:
            print(f"{epoch:4d} {loss.item():.4f}")
    print("final loss", sum(losses[-10:]) / 10)


main()
