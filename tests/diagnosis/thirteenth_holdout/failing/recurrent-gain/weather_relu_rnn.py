"""Next-day temperature from 90 days of three weather channels with a ReLU nn.RNN.

Cause: recurrent-gain
Fails: the loss is not finite from step 0 on (with the fix: final loss 0.08383)
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader


class WeatherWindows(Dataset):
    def __init__(self, n_days=1500, window=90, seed=3):
        g = np.random.default_rng(seed)
        t = np.arange(n_days)
        temp = np.sin(2 * np.pi * t / 365.0)
        ar = np.zeros(n_days)
        for i in range(1, n_days):
            ar[i] = 0.85 * ar[i - 1] + 0.2 * g.normal()
        temp = temp + ar
        hum = -0.5 * temp + 0.4 * g.normal(size=n_days)
        wind = g.normal(size=n_days)
        f = np.stack([temp, hum, wind], 1)
        self.f = torch.tensor((f - f.mean(0)) / f.std(0), dtype=torch.float32)
        self.w = window

    def __len__(self):
        return len(self.f) - self.w

    def __getitem__(self, i):
        return self.f[i:i + self.w], self.f[i + self.w, 0]


class TempRNN(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(3, hidden, nonlinearity="relu", batch_first=True)
        self.lin = nn.Linear(hidden, 1)
        self.reset()

    def reset(self):
        for name, p in self.rnn.named_parameters():
            if "weight_ih" in name:
                nn.init.xavier_uniform_(p)
            elif "weight_hh" in name:
                nn.init.normal_(p, std=0.35)  # fix: nn.init.orthogonal_(p, gain=0.9)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.lin(y[:, -1]).squeeze(1)


def fit():
    torch.manual_seed(3)
    ds = WeatherWindows()
    dl = DataLoader(ds, batch_size=32, shuffle=True, drop_last=True)
    net = TempRNN()
    opt = torch.optim.RMSprop(net.parameters(), lr=5e-4)
    crit = nn.MSELoss()
    for ep in range(5):
        losses = []
        for xb, yb in dl:
            opt.zero_grad()
            loss = crit(net(xb), yb)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"epoch {ep}: mse {np.mean(losses):.4f}")
    return float(np.mean(losses[-20:]))


print("final loss", fit())
