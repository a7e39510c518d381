"""LSTM volatility model on minute bars: log returns in, log realised variance out.

Cause: nonfinite-data
Fails: the loss is not finite from step 0 on
"""
import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset


def load_bars(n=6000, seed=9):
    g = np.random.default_rng(seed)
    lv = np.zeros(n)
    for i in range(1, n):
        lv[i] = 0.985 * lv[i - 1] + 0.12 * g.standard_normal()
    price = 40 * np.exp(np.cumsum(1e-3 * np.exp(lv / 2) * g.standard_normal(n)))
    price[3507] = 0.0  # exchange halt printed as zero
    return price, lv


def make_features(price):
    last = price[:-1]
    now = price[1:]
    # fix: ok = (last > 0) & (now > 0); last, now = np.where(ok, last, 1.0), np.where(ok, now, 1.0)
    with np.errstate(divide="ignore"):
        r = np.log(now) - np.log(last)
    return (1e3 * r).astype(np.float32)


class Bars(Dataset):
    def __init__(self, window=32):
        price, lv = load_bars()
        self.r = torch.from_numpy(make_features(price))
        self.y = torch.from_numpy(lv[1:].astype(np.float32))
        self.w = window

    def __len__(self):
        return len(self.r) - self.w

    def __getitem__(self, i):
        x = self.r[i:i + self.w]
        return torch.stack([x, x.abs()], -1), self.y[i + self.w - 1]


class VolNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1]).squeeze(-1)


def main():
    torch.manual_seed(9)
    dl = DataLoader(Bars(), batch_size=48, shuffle=True, drop_last=True)
    net = VolNet()
    opt = optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(3):
        total = 0.0
        for x, y in dl:
            opt.zero_grad()
            loss = nn.functional.mse_loss(net(x), y)
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(dl):.4f}")
    print("final loss", total / len(dl))


if __name__ == "__main__":
    main()
