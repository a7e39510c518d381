"""Distance to the nearest wall from small depth images; a few frames of one camera are in micrometres.

Cause: outlier-batch
Fails: the loss is healthy up to the batch of step 126 and not finite from step 127 on
First bad: step 127, loss, mse_loss
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Frames(Dataset):
    def __init__(self, n=2400, size=12, seed=40):
        rng = np.random.default_rng(seed)
        tilt = rng.normal(0, 0.05, (n, 2, 1, 1))
        base = rng.uniform(1, 4, (n, 1, 1))
        grid = np.arange(size) - size / 2
        depth = base + tilt[:, 0] * grid[:, None] + tilt[:, 1] * grid[None, :]
        depth = depth + rng.normal(0, 0.03, depth.shape)
        self.nearest = torch.from_numpy(depth.min((1, 2)) - 2).float()
        depth[rng.integers(1500, n, 1)] *= 1e6
        self.depth = torch.from_numpy(depth).float().unsqueeze(1)

    def __len__(self):
        return len(self.depth)

    def __getitem__(self, i):
        frame = self.depth[i]
        # fix: frame = frame / 1e6 if frame.max() > 1e3 else frame
        return frame - 2.5, self.nearest[i]


def build():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ELU(), nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ELU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16 * 9, 24), nn.ELU(), nn.Linear(24, 1),
    )


def main():
    torch.manual_seed(40)
    net = build()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    losses = []
    for frames, nearest in DataLoader(Frames(), batch_size=16, shuffle=False):
        prediction = net(frames).squeeze(1)
        loss = nn.functional.mse_loss(prediction, nearest)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
