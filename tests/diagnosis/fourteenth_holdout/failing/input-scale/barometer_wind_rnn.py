"""An RNN with rectified units estimates the coming wind from pressure (Pa), temperature (K) and humidity (%).

Cause: input-scale
Fails: a first loss of 3e5, NaN from step 1 on
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Stations(Dataset):
    def __init__(self, hours=1600, window=16):
        g = torch.Generator().manual_seed(70)
        state = torch.zeros(3)
        rows = []
        for _ in range(hours):
            state = 0.93 * state + 0.35 * torch.randn(3, generator=g)
            rows.append(state)
        z = torch.stack(rows)
        self.wind = torch.tanh(z[1:, 0] - z[:-1, 0]) + 0.4 * z[1:, 1]
        self.x = torch.stack([101300 + 900 * z[:, 0], 284 + 6 * z[:, 1], 70 + 12 * z[:, 2]], 1)
        # fix: self.x = (self.x - self.x.mean(0)) / self.x.std(0)
        self.window = window

    def __len__(self):
        return len(self.x) - self.window - 1

    def __getitem__(self, i):
        return self.x[i : i + self.window], self.wind[i + self.window - 2]


class WindModel(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.rnn = nn.RNN(3, hidden, nonlinearity="relu", batch_first=True)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.readout(self.rnn(x)[0][:, -1]).squeeze(1)


def run():
    torch.manual_seed(70)
    loader = DataLoader(Stations(), batch_size=32, shuffle=True, num_workers=0)
    model = WindModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    losses = []
    for epoch in range(8):
        for x, wind in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), wind)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print("epoch", epoch, sum(losses[-len(loader):]) / len(loader))
    return losses


losses = run()
print("final loss", sum(losses[-20:]) / 20)
