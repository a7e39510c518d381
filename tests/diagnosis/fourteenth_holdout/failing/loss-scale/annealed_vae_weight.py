"""A variational autoencoder of digits; the weight of its divergence term is annealed while it trains (SGD).

Cause: loss-scale
Fails: good for about 150 steps, then rises; 10 times its start at step 261, NaN from step 264 on
"""

import torch
from sklearn.datasets import load_digits
from torch import nn


class VAE(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ELU(), nn.Linear(64, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 64), nn.ELU(), nn.Linear(64, 64))

    def forward(self, x):
        mean, log_var = self.encoder(x).chunk(2, -1)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        rebuilt = self.decoder(z)
        divergence = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(-1).mean()
        return nn.functional.mse_loss(rebuilt, x), divergence


def anneal(step, period=20):
    return 1e-3 * 2 ** (step / period)  # fix: return 1e-3 * min(1.0, step / period)


torch.manual_seed(14)
digits = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
vae = VAE()
optimizer = torch.optim.SGD(vae.parameters(), lr=0.1, momentum=0.9)
losses = []
for step in range(500):
    x = digits[torch.randint(0, len(digits), (64,))]
    error, divergence = vae(x)
    loss = error + anneal(step) * divergence
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(step, error.item(), divergence.item(), loss.item())
print("final loss", sum(losses[-20:]) / 20)
