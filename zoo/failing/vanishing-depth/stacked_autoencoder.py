"""A deep sigmoid autoencoder for handwritten-like strokes, trained end to end.

Cause: vanishing-depth
Fails: the last bias is fitted and the loss stays at 0.069, the mean square of the images
"""

import torch

torch.manual_seed(57)
SIZES = [64, 48, 40, 32, 24, 16, 24, 32, 40, 48, 64]


def strokes(count):
    t = torch.linspace(0, 1, 12)
    start, bend, end = torch.rand(3, count, 1, 2) * 7
    path = (1 - t[:, None]) ** 2 * start + 2 * t[:, None] * (1 - t[:, None]) * bend + t[:, None] ** 2 * end
    grid = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"), -1).reshape(1, 64, 1, 2)
    distance = (grid - path.unsqueeze(1)).square().sum(-1).min(2).values
    return torch.exp(-distance)


weights, biases = [], []
for fan_in, fan_out in zip(SIZES, SIZES[1:]):
    weights.append((torch.randn(fan_in, fan_out) / fan_in**0.5).requires_grad_())
    biases.append(torch.zeros(fan_out, requires_grad=True))


def squash(z):
    return torch.sigmoid(z)  # fix: return torch.nn.functional.leaky_relu(z, 0.3) * 1.3


def reconstruct(x):
    for w, b in zip(weights[:-1], biases[:-1]):
        x = squash(x @ w + b)
    return x @ weights[-1] + biases[-1]


images = strokes(1600)
images = images - images.mean(0)
optimizer = torch.optim.SGD(weights + biases, lr=0.2, momentum=0.9)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=250, gamma=0.3)
errors = []
for step in range(400):
    batch = images[torch.randint(0, 1600, (50,))]
    loss = (reconstruct(batch) - batch).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    errors.append(loss.item())
print("mean square of the images", images.square().mean().item())
print("final loss", sum(errors[-10:]) / 10)
