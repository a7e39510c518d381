"""Variational autoencoder on small digit images in mixed precision, SGD with gradient clipping.

Cause: clip-before-unscale
Fails: the evidence bound hardly moves from where it began
"""
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(18)
x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
x = x[torch.randperm(len(x))]
train, test = x[:1500], x[1500:]


class VAE(nn.Module):
    def __init__(self, z=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        mu, logv = self.enc(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * logv).exp()
        return self.dec(z), mu, logv


def elbo(model, x):
    logits, mu, logv = model(x)
    rec = F.binary_cross_entropy_with_logits(logits.float(), x)
    mu, logv = mu.float(), logv.float()
    kl = -0.5 * (1 + logv - mu ** 2 - logv.exp()).mean()
    return rec + 0.02 * kl


model = VAE()
opt = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 14)
for epoch in range(14):
    for idx in torch.randperm(1500).split(30):
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = elbo(model, train[idx])
        scaler.scale(loss).backward()
        # fix: scaler.unscale_(opt)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
    print(epoch, loss.item())
with torch.no_grad():
    print("final loss", elbo(model, test).item())
