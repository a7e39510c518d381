"""A denoising autoencoder of sine snippets whose encoder and decoder have optimizers of their own.

Cause: missing-zero-grad
Fails: decoder gradients pile up from step to step, the loss swings wider and wider and ends in nan
"""

import math

import torch
from torch import nn

torch.manual_seed(64)
L = 32


def snippets(n):
    t = torch.linspace(0, 1, L)
    f = 1 + 3 * torch.rand(n, 1)
    clean = torch.sin(2 * math.pi * (f * t + torch.rand(n, 1)))
    return clean + 0.3 * torch.randn(n, L), clean


encoder = nn.Sequential(nn.Linear(L, 64), nn.ELU(), nn.Linear(64, 12))
decoder = nn.Sequential(nn.Linear(12, 64), nn.ELU(), nn.Linear(64, L))
opt_enc = torch.optim.SGD(encoder.parameters(), lr=0.05, momentum=0.9)
opt_dec = torch.optim.SGD(decoder.parameters(), lr=0.05, momentum=0.9)

history = []
for step in range(250):
    noisy, clean = snippets(64)
    recon = decoder(encoder(noisy))
    loss = (recon - clean).pow(2).mean()
    opt_enc.zero_grad()
    # fix: opt_dec.zero_grad()
    loss.backward()
    opt_enc.step()
    opt_dec.step()
    history.append(loss.item())
    if step % 50 == 49:
        with torch.no_grad():
            xv, yv = snippets(256)
            print(f"step {step + 1} train {history[-1]:.4f} valid {(decoder(encoder(xv)) - yv).pow(2).mean():.4f}")
print("final loss", sum(history[-10:]) / 10)
