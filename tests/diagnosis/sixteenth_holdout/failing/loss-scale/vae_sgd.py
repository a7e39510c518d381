"""VAE on small blob pictures, plain momentum SGD.

Cause: loss-scale
Fails: the reconstruction term is summed over pixels and batch, the steps are thousands
of times too long and the loss turns nan.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(90)


def blobs(n, s=14):
    c = torch.rand(n, 2, 1, 1) * 8 + 3
    g = torch.arange(s).float()
    d = (g[None, :, None] - c[:, 0]) ** 2 + (g[None, None, :] - c[:, 1]) ** 2
    return torch.exp(-d / 6).flatten(1)


class VAE(nn.Module):
    def __init__(self, d=196, h=96, z=6):
        super().__init__()
        self.e = nn.Sequential(nn.Linear(d, h), nn.ReLU(), nn.Linear(h, 2 * z))
        self.d = nn.Sequential(nn.Linear(z, h), nn.ReLU(), nn.Linear(h, d))

    def forward(self, x):
        mu, lv = self.e(x).chunk(2, -1)
        return self.d(mu + torch.randn_like(mu) * (lv / 2).exp()), mu, lv


X = blobs(2048)
vae = VAE()
opt = torch.optim.SGD(vae.parameters(), lr=0.05, momentum=0.9)
for epoch in range(64):
    err = 0.0
    for idx in torch.randperm(len(X)).split(64):
        rec, mu, lv = vae(X[idx])
        mse = F.mse_loss(rec, X[idx], reduction="sum")  # fix: mse = F.mse_loss(rec, X[idx]) * 20
        kl = -0.5 * (1 + lv - mu ** 2 - lv.exp()).mean()
        loss = mse + 0.01 * kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        err += F.mse_loss(rec.detach(), X[idx]).item() / 32
    if epoch % 5 == 4:
        print(f"epoch {epoch + 1} pixel mse {err:.5f}")
print(f"final loss {err:.6f}")
