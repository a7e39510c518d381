"""A VAE on digits whose ELBO is summed over pixels and batch, times the data set: losses of 1e5 and more.

Looks nasty: huge losses and gradient norms by nature, a KL weight that ramps up and lifts the loss again.
"""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(66)


class VAE(nn.Module):
    def __init__(self, z=6):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 96), nn.SiLU(), nn.Linear(96, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 96), nn.SiLU(), nn.Linear(96, 64))

    def forward(self, x, beta):
        mu, lv = self.enc(x).chunk(2, -1)
        z = mu + (0.5 * lv).exp() * torch.randn_like(mu)
        rec = 50 * (self.dec(z) - x).pow(2).sum()
        kl = -0.5 * (1 + lv - mu.pow(2) - lv.exp()).sum()
        return (rec + beta * kl) * (1797 / len(x))


x_all = torch.tensor(load_digits().data, dtype=torch.float32) / 16
vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
for epoch in range(35):
    beta = min(1.0, epoch / 15)
    tot = []
    for idx in torch.randperm(1797).split(64):
        loss = vae(x_all[idx], beta)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot.append(loss.item())
    if epoch == 0:
        print("first loss", tot[0])
    if epoch % 4 == 0:
        print(f"epoch {epoch} beta {beta:.2f} loss {sum(tot) / len(tot):.0f}")
print("final loss", sum(tot) / len(tot))
