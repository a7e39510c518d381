"""A net reads the direction of a pattern from a small image; the loss is the angle between true and guessed direction.

Cause: unsafe-op
Fails: the loss is NaN from step 5 on
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Needles:
    def __init__(self, size=11, seed=48):
        axis = torch.linspace(-1, 1, size)
        self.y, self.x = torch.meshgrid(axis, axis, indexing="ij")
        self.g = torch.Generator().manual_seed(seed)

    def __call__(self, count):
        angle = 6.2832 * torch.rand(count, 1, 1, generator=self.g)
        along = self.x * angle.cos() + self.y * angle.sin()
        across = -self.x * angle.sin() + self.y * angle.cos()
        image = torch.exp(-20 * across.square()) * torch.sigmoid(6 * along)
        return image.unsqueeze(1), torch.cat([angle.cos(), angle.sin()], 2).squeeze(1)


def angular(guess, truth):
    cosine = (F.normalize(guess, dim=-1) * truth).sum(-1)
    return torch.acos(cosine.clamp(-1, 1)).mean()  # fix: return torch.acos(cosine.clamp(-0.9999, 0.9999)).mean()


def fit(net, source, steps, lr):
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 100)
    ema = None
    for step in range(steps):
        image, truth = source(32)
        loss = angular(net(image), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ema = loss.item() if ema is None else 0.95 * ema + 0.05 * loss.item()
        if step % 50 == 0:
            print(f"step {step} smoothed {ema:.4f}")
        yield loss.item()


torch.manual_seed(48)
net = nn.Sequential(nn.Conv2d(1, 12, 3, stride=2), nn.ReLU(), nn.Conv2d(12, 24, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 2))
losses = list(fit(net, Needles(), 400, 3e-3))
print("final loss", sum(losses[-20:]) / 20)
