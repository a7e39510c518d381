"""An MLP that predicts (standardised log) house prices from raw listing columns.

Cause: input-scale
Fails: the loss is 5e4, then 1e31, then inf at the third batch, nan from then on
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Listings(Dataset):
    """area m2, plot m2, year built, rooms, distance to the centre in metres, floor."""

    def __init__(self, n, seed):
        g = np.random.default_rng(seed)
        area = g.uniform(30, 260, n)
        plot = area * g.uniform(1, 8, n)
        year = g.integers(1900, 2024, n)
        rooms = np.clip(np.round(area / 28 + g.normal(0, 0.6, n)), 1, 9)
        dist = g.gamma(2.0, 3000.0, n)
        floor = g.integers(0, 12, n)
        logp = (0.9 * np.log(area) + 0.1 * np.log(plot) + 0.004 * (year - 1960)
                - dist / 9000 + 0.02 * floor + g.normal(0, 0.05, n))
        raw = np.stack([area, plot, year, rooms, dist, floor], 1)
        self.x = raw.astype("float32")  # fix: self.x = ((raw - raw.mean(0)) / raw.std(0)).astype("float32")
        self.y = ((logp - logp.mean()) / logp.std()).astype("float32")

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def run(epochs=12):
    torch.manual_seed(1)
    dl = DataLoader(Listings(4000, 1), batch_size=64, shuffle=True, num_workers=0)
    net = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.8)
    for ep in range(epochs):
        s = 0.0
        for k, (x, y) in enumerate(dl):
            loss = nn.functional.mse_loss(net(x).flatten(), y)
            if ep == 0 and k < 3:
                print("batch", k, "loss", loss.item())
            opt.zero_grad()
            loss.backward()
            opt.step()
            s += loss.item()
        print(f"epoch {ep} loss {s / len(dl):.4f}")
    return s / len(dl)


if __name__ == "__main__":
    print("final loss", run())
