"""Volatility forecast from tick returns: causal linear attention over log returns of a few hundred small caps.

Cause: nonfinite-data
Fails: the loss is not finite from backward call 21 on (counted from 0, of 160); the final value is nan
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, RandomSampler


def load_prices(n_names=300, T=49, seed=3):
    rng = np.random.default_rng(seed)
    vol = np.exp(rng.normal(-1.0, 0.6, (n_names, 1)))
    r = vol * rng.standard_normal((n_names, T)) * 0.2
    px = 20 * np.exp(np.cumsum(r, 1))
    px[117, 30] = 0.0
    return px, np.log(vol[:, 0])


class ReturnWindows(Dataset):
    def __init__(self, px, target):
        ret = np.diff(np.log(px), axis=1)  # fix: ret = np.diff(np.log(np.where(px > 0, px, np.roll(px, 1, 1))), axis=1)
        self.x = torch.tensor(ret / 0.1, dtype=torch.float32)
        self.y = torch.tensor(target, dtype=torch.float32)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return {"x": self.x[i], "y": self.y[i]}


def phi(x):
    return nn.functional.elu(x) + 1


class LinearAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.qkv = nn.Linear(d, 3 * d)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = phi(q), phi(k)
        kv = torch.einsum("btd,bte->btde", k, v).cumsum(1)
        z = (q * k.cumsum(1)).sum(-1, keepdim=True)
        return torch.einsum("btd,btde->bte", q, kv) / (z + 1e-4)


class VolNet(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.inp = nn.Sequential(nn.Linear(1, d), nn.GELU(), nn.Linear(d, d))
        self.attn, self.norm = LinearAttention(d), nn.LayerNorm(d)
        self.head = nn.Linear(d, 1)

    def forward(self, x):
        h = self.inp(x[..., None])
        h = h + self.attn(self.norm(h))
        return self.head(h.mean(1)).squeeze(-1)


if __name__ == "__main__":
    import warnings
    warnings.filterwarnings("ignore")
    torch.manual_seed(2)
    px, tgt = load_prices()
    ds = ReturnWindows(px, tgt)
    loader = DataLoader(ds, 16, sampler=RandomSampler(ds, num_samples=16 * 160, replacement=True, generator=torch.Generator().manual_seed(12)))
    model = VolNet()
    opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)
    hist = []
    for i, batch in enumerate(loader):
        loss = nn.functional.mse_loss(model(batch["x"]), batch["y"])
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        hist.append(loss.item())
        if i % 25 == 0:
            print(f"step {i} mse {loss.item():.4f}")
    print("final loss", float(np.mean(hist[-15:])))
