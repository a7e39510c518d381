"""A convolutional autoencoder for pictures of discs; encoder and decoder have an optimizer each.

Cause: missing-zero-grad
Fails: the loss rises from step 8 on and is not finite from step 28 on
First bad: step 28, forward, convolution
"""

import torch
from torch import nn

torch.manual_seed(21)
SIZE = 16


def discs(count):
    grid = torch.arange(SIZE).float()
    cx, cy = torch.rand(2, count, 1, 1) * 8 + 4
    radius = torch.rand(count, 1, 1) * 3 + 2
    distance = ((grid[None, :, None] - cx) ** 2 + (grid[None, None, :] - cy) ** 2).sqrt()
    return torch.sigmoid(2 * (radius - distance)).unsqueeze(1)


encoder = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2, padding=1),
    nn.LeakyReLU(0.1),
    nn.Conv2d(8, 16, 3, stride=2, padding=1),
    nn.LeakyReLU(0.1),
    nn.Flatten(),
    nn.Linear(16 * 16, 12),
)
decoder = nn.Sequential(
    nn.Linear(12, 16 * 16),
    nn.LeakyReLU(0.1),
    nn.Unflatten(1, (16, 4, 4)),
    nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
    nn.LeakyReLU(0.1),
    nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
)
encoder_optimizer = torch.optim.SGD(encoder.parameters(), lr=0.15, momentum=0.9)
decoder_optimizer = torch.optim.SGD(decoder.parameters(), lr=0.15, momentum=0.9)
images = discs(1024)
losses = []

for epoch in range(10):
    for batch in images[torch.randperm(1024)].split(32):
        encoder_optimizer.zero_grad()
        # fix: decoder_optimizer.zero_grad()
        loss = nn.functional.mse_loss(decoder(encoder(batch)), batch)
        loss.backward()
        encoder_optimizer.step()
        decoder_optimizer.step()
        losses.append(loss.item())
    print("epoch", epoch, "mse", losses[-1])
print("final loss", sum(losses[-10:]) / 10)
