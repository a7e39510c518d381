"""A VAE whose loss is summed over pixels and batch, with Adam and KL warm-up: large numbers, sound training."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(16)
basis = torch.rand(5, 36)


def data(n):
    return torch.sigmoid(6 * ((torch.rand(n, 5) < 0.4).float() @ basis - 1.0))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(36, 64), nn.ReLU())
        self.mu, self.lv = nn.Linear(64, 6), nn.Linear(64, 6)
        self.dec = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 36))

    def forward(self, x):
        h = self.enc(x)
        mu, lv = self.mu(h), self.lv(h)
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
        return self.dec(z), mu, lv


vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
losses = []
for step in range(400):
    x = data(128)
    logit, mu, lv = vae(x)
    beta = min(1.0, step / 200)
    rec = F.binary_cross_entropy_with_logits(logit, x, reduction="sum")
    kl = -0.5 * (1 + lv - mu.square() - lv.exp()).sum()
    loss = rec + beta * kl
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
