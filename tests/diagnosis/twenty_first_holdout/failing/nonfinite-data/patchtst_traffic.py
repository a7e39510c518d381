"""Trains a PatchTST-like forecaster (channel independence, patches, instance normalisation) on road sensors kept in a pandas table.

Cause: nonfinite-data
Fails: the loss turns NaN after a number of sound steps
"""
import numpy as np
import pandas as pd
import torch
import torch.nn as nn

torch.manual_seed(30)
torch.set_num_threads(1)
rs = np.random.RandomState(30)
n, C, L, H, P = 3000, 4, 96, 24, 12
t = np.arange(n)
df = pd.DataFrame({f"s{c}": 40 + 15 * np.sin(2 * np.pi * t / 24 + c) + 6 * np.sin(2 * np.pi * t / 168 + 2 * c) + 2 * rs.randn(n) for c in range(C)}, index=pd.date_range("2019-01-01", periods=n, freq="h"))
df = df.drop(df.index[[1430, 1431]]).asfreq("h")
df = df.clip(lower=0.0)  # fix: df = df.interpolate().clip(lower=0.0)
values = torch.tensor(((df - df.mean()) / df.std()).values, dtype=torch.float32)


class PatchTST(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.proj, self.pos = nn.Linear(P, d), nn.Parameter(torch.randn(L // P, d) * 0.02)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, 96, 0.1, batch_first=True, activation="gelu"), 2)
        self.head = nn.Linear(d * (L // P), H)

    def forward(self, x):
        B = x.size(0)
        x = x.transpose(1, 2).reshape(B * C, L)
        mu, sd = x.mean(1, keepdim=True), x.std(1, keepdim=True) + 1e-5
        z = self.enc(self.proj(((x - mu) / sd).view(B * C, L // P, P)) + self.pos)
        y = self.head(z.flatten(1)) * sd + mu
        return y.view(B, C, H).transpose(1, 2)


def batch(ix):
    return torch.stack([values[i:i + L] for i in ix]), torch.stack([values[i + L:i + L + H] for i in ix])


model = PatchTST()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
g = torch.Generator().manual_seed(14)
for step in range(350):
    x, y = batch(torch.randint(0, 2400, (1,), generator=g).tolist() + torch.randint(0, 1250, (7,), generator=g).tolist())
    loss = nn.functional.mse_loss(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
model.eval()
with torch.no_grad():
    x, y = batch(range(2450, 2850, 5))
    print("final loss", nn.functional.mse_loss(model(x), y).item())
