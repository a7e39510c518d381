"""PointNet that tells tree species from airborne lidar crowns given in map coordinates.
Cause: input-scale
Fails: the loss is hundreds to tens of thousands, never below 600 (ln 4 = 1.39 is chance)
"""
import numpy as np
import torch
import torch.nn as nn

SPECIES = ["spruce", "beech", "pine", "larch"]


def crown(rng, kind, n=64):
    h = rng.uniform(0, 1, n)
    if kind == 0:
        r = 2.2 * (1 - h)
    elif kind == 1:
        r = 3.0 * np.sqrt(np.clip(1 - (2 * h - 1) ** 2, 0, 1))
    elif kind == 2:
        r = np.where(h > 0.6, 2.5, 0.3)
    else:
        r = 1.2 * np.ones(n)
    a = rng.uniform(0, 2 * np.pi, n)
    r = r * np.sqrt(rng.uniform(0, 1, n))
    pts = np.stack([r * np.cos(a), r * np.sin(a), 6 * h], 1) + rng.normal(0, 0.1, (n, 3))
    return pts


def load_plot(n_trees, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n_trees)
    stem = np.stack([rng.uniform(484000, 486000, n_trees), rng.uniform(5301000, 5303000, n_trees), rng.uniform(380, 520, n_trees)], 1)
    clouds = np.stack([crown(rng, k) for k in labels]) + stem[:, None]
    # fix: clouds = clouds - clouds.mean(axis=1, keepdims=True)
    return torch.tensor(clouds, dtype=torch.float32), torch.tensor(labels)


class PointNet(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.point = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 128))
        self.cls = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, k))

    def forward(self, x):
        return self.cls(self.point(x).amax(1))


def main():
    torch.manual_seed(0)
    x, y = load_plot(1200, 1)
    net = PointNet(len(SPECIES))
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    ce = nn.CrossEntropyLoss()
    run = []
    for epoch in range(10):
        perm = torch.randperm(len(x))
        for i in range(0, len(x), 40):
            b = perm[i:i + 40]
            loss = ce(net(x[b]), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            run.append(loss.item())
        print(f"epoch {epoch} train loss {np.mean(run[-30:]):.4f}")
    print("final loss", float(np.mean(run[-30:])))


main()
