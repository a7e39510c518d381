"""Two-moons style classification with raw tensors and Adam, no nn.Module anywhere.

Cause: init-gain
Fails: the loss is not finite from step 0 on
First bad: step 0, loss, mul
"""

import math

import torch

torch.manual_seed(2)
N, DEPTH, WIDTH, STEPS = 800, 14, 64, 200

# two interleaved half circles
angle = math.pi * torch.rand(N)
label = torch.arange(N) % 2
points = torch.stack([torch.cos(angle), torch.sin(angle)], 1)
points[label == 1] = torch.tensor([1.0, 0.5]) - points[label == 1]
points = (points - points.mean(0)) / points.std(0) + 0.05 * torch.randn(N, 2)

sizes = [2] + [WIDTH] * DEPTH + [1]
weights = []
biases = []
for n_in, n_out in zip(sizes[:-1], sizes[1:]):
    w = torch.randn(n_in, n_out) * math.sqrt(n_in / 2)  # fix: w = torch.randn(n_in, n_out) * math.sqrt(2 / n_in)
    weights.append(w.requires_grad_())
    biases.append(torch.zeros(n_out, requires_grad=True))


def forward(x):
    for w, b in zip(weights[:-1], biases[:-1]):
        x = (x @ w + b).clamp(min=0)
    return (x @ weights[-1] + biases[-1])[:, 0]


opt = torch.optim.Adam(weights + biases, lr=3e-4, foreach=True)
history = []
for step in range(STEPS):
    rows = torch.randint(0, N, (64,))
    error = forward(points[rows]) - (2.0 * label[rows] - 1)
    loss = (error * error).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append(float(loss.detach()))
print("final loss", sum(history[-10:]) / 10)
