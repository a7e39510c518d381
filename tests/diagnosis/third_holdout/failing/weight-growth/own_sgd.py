"""A two-hidden-layer regression net trained by a hand-written update rule.

Cause: weight-growth
Fails: falls at first, rises from about step 300, not finite from step 647 on
"""
import torch

torch.manual_seed(30)
gen = torch.Generator().manual_seed(31)
mix = torch.randn(6, 3, generator=gen)


def data(n):
    x = torch.randn(n, 6, generator=gen)
    z = x @ mix / 2
    return x, torch.sin(z[:, :1]) + 0.5 * torch.tanh(z[:, 1:2] * z[:, 2:])


sizes = [6, 48, 48, 1]
weights = [torch.nn.Parameter(torch.randn(i, o) * (1.5 / i) ** 0.5) for i, o in zip(sizes, sizes[1:])]
biases = [torch.nn.Parameter(torch.zeros(o)) for o in sizes[1:]]


def forward(x):
    for k, (w, b) in enumerate(zip(weights, biases)):
        x = x @ w + b
        if k < len(weights) - 1:
            x = torch.relu(x)
    return x


ETA, LAM = 0.05, 0.1


@torch.no_grad()
def update():
    for w in weights:
        w += ETA * (LAM * w - w.grad)  # fix: w -= ETA * (LAM * 0.01 * w + w.grad)
        w.grad = None
    for b in biases:
        b -= ETA * b.grad
        b.grad = None


run = 0.0
for step in range(2000):
    x, y = data(64)
    loss = ((forward(x) - y) ** 2).mean()
    loss.backward()
    update()
    run = 0.97 * run + 0.03 * loss.item()
    if step % 250 == 0:
        print(step, loss.item())
print("final loss", run)
