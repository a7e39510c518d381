"""Next-day volatility class from (return, range, traded volume) with a small GRU; volume in shares.

Cause: input-scale
Fails: raw volume of about 3 million pins every gate and tanh of the GRU; the loss stays at ln 3 = 1.10
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader


def market(n, seed):
    rng = np.random.default_rng(seed)
    lv = np.zeros(n)
    for t in range(1, n):
        lv[t] = 0.95 * lv[t - 1] + 0.31 * rng.standard_normal()
    vol = 0.01 * np.exp(0.5 * lv)
    ret = vol * rng.standard_normal(n)
    rng_ = vol * (1.5 + 0.3 * rng.standard_normal(n))
    volume = 3e6 * np.exp(0.3 * lv + 0.2 * rng.standard_normal(n))
    label = np.digitize(lv, [-0.43, 0.43])
    return ret, rng_, volume, label


class Windows(Dataset):
    def __init__(self, ret, rng_, volume, label, T=20):
        f = np.stack([ret / 0.012, rng_ / 0.016 - 1, volume], 1)  # fix: f = np.stack([ret / 0.012, rng_ / 0.016 - 1, np.log(volume / 3e6)], 1)
        self.f, self.l, self.T = torch.tensor(f, dtype=torch.float32), torch.tensor(label), T

    def __len__(self):
        return len(self.f) - self.T

    def __getitem__(self, i):
        return self.f[i:i + self.T], self.l[i + self.T]


class VolNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 32, batch_first=True)
        self.fc = nn.Linear(32, 3)

    def forward(self, x):
        return self.fc(self.gru(x)[1][0])


if __name__ == "__main__":
    torch.manual_seed(1)
    tr = DataLoader(Windows(*market(5000, 1)), batch_size=50, shuffle=True, generator=torch.Generator().manual_seed(1))
    va = DataLoader(Windows(*market(1500, 2)), batch_size=500)
    m = VolNet()
    opt = torch.optim.AdamW(m.parameters(), lr=2e-3)
    ce = nn.CrossEntropyLoss()
    for ep in range(6):
        m.train(); t = []
        for x, y in tr:
            opt.zero_grad()
            l = ce(m(x), y)
            l.backward()
            torch.nn.utils.clip_grad_norm_(m.parameters(), 1.0)
            opt.step()
            t.append(l.item())
        m.eval()
        with torch.no_grad():
            v = np.mean([ce(m(x), y).item() for x, y in va])
        print(f"epoch {ep}: train {np.mean(t):.4f} valid {v:.4f}")
    print("final loss", float(v))
