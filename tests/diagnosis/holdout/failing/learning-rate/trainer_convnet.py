"""A small ConvNet with GroupNorm on synthetic shapes, driven by a Trainer class and a dataclass config.

Cause: learning-rate
Fails: the loss rises as soon as the warm-up has lifted the rate and is nan within some steps
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class TrainConfig:
    batch_size: int = 64
    max_steps: int = 180
    lr: float = 2.0  # fix: lr: float = 0.004
    momentum: float = 0.9
    warmup: int = 10
    seed: int = 1337


def shapes(n):
    """Discs, squares and crosses at random places on a 14x14 canvas."""
    y = torch.randint(0, 3, (n,))
    cx, cy = torch.randint(4, 10, (n,)), torch.randint(4, 10, (n,))
    ii, jj = torch.meshgrid(torch.arange(14), torch.arange(14), indexing="ij")
    di, dj = (ii[None] - cx[:, None, None]).abs(), (jj[None] - cy[:, None, None]).abs()
    disc = (di**2 + dj**2) <= 9
    square = torch.maximum(di, dj) <= 2
    cross = ((di == 0) & (dj <= 4)) | ((dj == 0) & (di <= 4))
    stack = torch.stack([disc, square, cross], 1).float()
    img = stack[torch.arange(n), y] + 0.3 * torch.randn(n, 14, 14)
    return img.unsqueeze(1), y


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.conv = nn.Conv2d(16, 24, 3, stride=2, padding=1)
        self.fc1 = nn.Linear(24 * 7 * 7, 48)
        self.fc2 = nn.Linear(48, 3)

    def forward(self, x):
        x = F.silu(self.norm(self.stem(x)))
        x = F.silu(self.conv(x)).flatten(1)
        return self.fc2(F.silu(self.fc1(x)))


class Trainer:
    def __init__(self, cfg, model):
        self.cfg, self.model = cfg, model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum, nesterov=True)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda s: min(1.0, (s + 1) / cfg.warmup))
        self.history = []

    def train_step(self):
        x, y = shapes(self.cfg.batch_size)
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()
        return loss.item()

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        x, y = shapes(256)
        acc = (self.model(x).argmax(1) == y).float().mean().item()
        self.model.train()
        return acc

    def run(self):
        for step in range(self.cfg.max_steps):
            self.history.append(self.train_step())
            if step % 50 == 49:
                print(f"step {step + 1} loss {self.history[-1]:.4f} acc {self.evaluate():.3f}")


if __name__ == "__main__":
    cfg = TrainConfig()
    torch.manual_seed(cfg.seed)
    trainer = Trainer(cfg, ConvNet())
    trainer.run()
    print("final loss", sum(trainer.history[-10:]) / 10)
