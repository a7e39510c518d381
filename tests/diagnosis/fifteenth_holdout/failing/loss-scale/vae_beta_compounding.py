"""A small variational autoencoder of the digits with a KL weight that is annealed from epoch to epoch.

Cause: loss-scale
Fails: the annealed weight compounds instead of approaching one, the total loss grows by orders of magnitude until nan
"""
import argparse

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits


class VAE(torch.nn.Module):
    def __init__(self, z):
        super().__init__()
        self.enc = torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.Tanh(), torch.nn.Linear(96, 2 * z))
        self.dec = torch.nn.Sequential(torch.nn.Linear(z, 96), torch.nn.Tanh(), torch.nn.Linear(96, 64))

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar


def run(args):
    torch.manual_seed(args.seed)
    x = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    model = VAE(args.z)
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
    beta, recs = 0.02, []
    for epoch in range(args.epochs):
        for b in torch.randperm(len(x)).split(args.batch):
            out, mu, logvar = model(x[b])
            rec = F.binary_cross_entropy_with_logits(out, x[b], reduction="none").sum(1).mean()
            kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1).mean()
            loss = rec + beta * kl
            opt.zero_grad()
            loss.backward()
            opt.step()
            recs.append(loss.item())
        beta = beta * 1.35  # fix: beta = min(1.0, beta * 1.35)
        print(f"epoch {epoch} loss {recs[-1]:.3f} beta {beta:.3f}")
    return sum(recs[-14:]) / 14


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--z", type=int, default=6)
    p.add_argument("--lr", type=float, default=0.004)
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--epochs", type=int, default=40)
    p.add_argument("--seed", type=int, default=0)
    print("final loss", run(p.parse_args()))
