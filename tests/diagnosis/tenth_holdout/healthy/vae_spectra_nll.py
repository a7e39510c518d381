"""VAE on synthetic infrared spectra with learned noise; the loss turns deeply negative and leaps when the KL term is switched on."""
import math
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(55)
rng = np.random.default_rng(55)
grid = np.linspace(0, 1, 80)


def spectra(n):
    c = np.array([0.2, 0.45, 0.7])[None, :, None]
    amp = rng.gamma(3, 0.3, (n, 3, 1))
    x = (amp * np.exp(-((grid[None, None] - c) / 0.05) ** 2)).sum(1)
    return torch.tensor(x + rng.normal(0, 0.03, x.shape), dtype=torch.float32)


class VAE(nn.Module):
    def __init__(self, z=4):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(80, 96), nn.ELU(), nn.Linear(96, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 96), nn.ELU(), nn.Linear(96, 80))
        self.log_sigma = nn.Parameter(torch.zeros(80))

    def forward(self, x):
        mu, lv = self.enc(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
        rec = self.dec(z)
        ls = self.log_sigma.clamp(-5, 3)
        nll = (0.5 * ((x - rec) / ls.exp()) ** 2 + ls + 0.5 * math.log(2 * math.pi)).sum(-1).mean()
        kl = 0.5 * (mu ** 2 + lv.exp() - lv - 1).sum(-1).mean()
        return nll, kl


vae = VAE()
opt = torch.optim.AdamW(vae.parameters(), lr=6e-3)
hist = []
for step in range(1200):
    beta = 0.0 if step < 700 else 1.0
    nll, kl = vae(spectra(64))
    loss = nll + beta * kl
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(vae.parameters(), 50.0)
    opt.step()
    hist.append(loss.item())
    if step % 100 == 0:
        print(step, "nll", nll.item(), "kl", kl.item())
print("final loss", float(np.mean(hist[-50:])))
