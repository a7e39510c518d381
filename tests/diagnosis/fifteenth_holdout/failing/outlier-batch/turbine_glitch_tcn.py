"""A convolutional forecaster of turbine vibration from a window of five sensors.

Cause: outlier-batch
Fails: one logger record written with a wrong unit reaches the network in mid-training and throws the weights out
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

rng = np.random.default_rng(17)


class Turbine(Dataset):
    def __init__(self, n=2400, window=32):
        t = np.arange(n + window + 1)
        base = [np.sin(2 * np.pi * t / p) for p in (9, 14, 23, 31, 50)]
        sig = np.stack(base, 1) + 0.15 * rng.standard_normal((len(t), 5))
        sig = sig @ np.array(rng.standard_normal((5, 5)) * 0.5 + np.eye(5))
        sig = (sig - sig.mean(0)) / sig.std(0)
        sig[1610, 3] *= 1e5  # fix: sig[1610, 3] *= 1.0
        self.sig, self.window = torch.tensor(sig, dtype=torch.float32), window

    def __len__(self):
        return len(self.sig) - self.window - 1

    def __getitem__(self, i):
        return self.sig[i : i + self.window], self.sig[i + self.window, 0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(5, 32, 5, stride=2), nn.LeakyReLU(0.05),
            nn.Conv1d(32, 32, 5, stride=2), nn.LeakyReLU(0.05),
            nn.Flatten(), nn.Linear(32 * 5, 48), nn.LeakyReLU(0.05), nn.Linear(48, 1),
        )

    def forward(self, x):
        return self.body(x.transpose(1, 2)).squeeze(1)


def main():
    torch.manual_seed(17)
    ds = Turbine()
    # the log is read in the order of time, in blocks
    loader = DataLoader(ds, batch_size=8, shuffle=False)
    net = Net()
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.5)
    losses = []
    for epoch in range(2):
        for x, y in loader:
            loss = nn.functional.mse_loss(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
            if len(losses) % 60 == 0:
                print(len(losses), f"{np.mean(losses[-60:]):.4g}")
    print("final loss", float(np.mean(losses[-60:])))


main()
