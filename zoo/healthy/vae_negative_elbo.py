"""A variational autoencoder with a learned Gaussian noise level: the loss starts positive and goes far below zero."""

import math

import torch
from torch import nn


class VAE(nn.Module):
    def __init__(self, dim=16, latent=3):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, 2 * latent))
        self.decode = nn.Sequential(nn.Linear(latent, 64), nn.ReLU(), nn.Linear(64, dim))
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def elbo_loss(self, x):
        mu, logvar = self.encode(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        residual = (x - self.decode(z)) / self.log_sigma.exp()
        nll = 0.5 * residual.square() + self.log_sigma + 0.5 * math.log(2 * math.pi)
        kl = 0.5 * (mu.square() + logvar.exp() - logvar - 1)
        return (nll.sum(1) + kl.sum(1)).mean()


class Trainer:
    def __init__(self, model, data, lr=2e-3):
        self.model, self.data = model, data
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def fit(self, steps):
        recent = []
        for step in range(steps):
            batch = self.data[torch.randint(0, len(self.data), (64,))]
            loss = self.model.elbo_loss(batch)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            recent = [*recent[-49:], loss.item()]
            if step % 300 == 0:
                print(f"step {step}: -ELBO {loss.item():.3f}")
        return sum(recent) / len(recent)


torch.manual_seed(0)
factors = torch.rand(4000, 3) * 2 - 1
mixing = torch.randn(3, 16)
samples = torch.tanh(factors @ mixing) + 0.01 * torch.randn(4000, 16)
print("final loss", Trainer(VAE(), samples).fit(1500))
