"""Next-day return regression on toy stocks with price, volume and turnover features.

Cause: input-scale
Fails: mse 1.3e10 at step 0, inf at step 1, NaN from step 2.
"""
import numpy as np
import torch
from torch import nn


class StockFrame(torch.utils.data.Dataset):
    def __init__(self, n=3000, seed=0):
        rng = np.random.default_rng(seed)
        price = rng.lognormal(4.0, 0.6, n)
        volume = rng.lognormal(11.0, 0.5, n)
        turnover = price * volume
        spread = rng.gamma(2.0, 0.5, n)
        momentum = rng.standard_normal(n)
        z = lambda a: (np.log(a) - np.log(a).mean()) / np.log(a).std()
        signal = 0.6 * momentum - 0.5 * z(volume) + 0.4 * np.tanh(z(price)) - 0.2 * z(spread)
        target = signal + 0.2 * rng.standard_normal(n)
        cols = np.stack([price, volume, turnover, spread, momentum], axis=1)
        table = cols  # fix: table = (np.sign(cols) * np.log1p(np.abs(cols)) - np.log1p(np.abs(cols)).mean(0)) / np.log1p(np.abs(cols)).std(0)
        self.x = torch.tensor(table, dtype=torch.float32)
        self.y = torch.tensor(target, dtype=torch.float32)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Regressor(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.layers = nn.ModuleDict({
            "first": nn.Linear(n_features, 48),
            "second": nn.Linear(48, 48),
            "last": nn.Linear(48, 1),
        })

    def forward(self, x):
        x = torch.relu(self.layers["first"](x))
        x = torch.relu(self.layers["second"](x))
        return self.layers["last"](x).squeeze(-1)


def main():
    torch.manual_seed(0)
    data = StockFrame()
    loader = torch.utils.data.DataLoader(data, batch_size=50, shuffle=True,
                                         generator=torch.Generator().manual_seed(1))
    model = Regressor(5)
    opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.8)
    for epoch in range(14):
        running = 0.0
        for i, (x, y) in enumerate(loader):
            opt.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            opt.step()
            running += loss.item()
            if epoch == 0 and i < 3:
                print("batch", i, loss.item())
        print("epoch", epoch, running / len(loader))
    print("final loss", running / len(loader))


main()
