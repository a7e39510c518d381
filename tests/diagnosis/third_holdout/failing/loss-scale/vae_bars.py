"""A VAE on small images of horizontal and vertical bars, SGD with a cosine schedule.

Cause: loss-scale
Fails: the loss starts at 2.8e3 and is not finite from step 2 on
"""
import torch
from torch import nn
from torch.nn import functional as F


class BarsVAE(nn.Module):
    def __init__(self, side=12, latent=4, hidden=96):
        super().__init__()
        d = side * side
        self.enc = nn.Sequential(nn.Linear(d, hidden), nn.ReLU())
        self.mu, self.logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.dec = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, d))

    def forward(self, x):
        h = self.enc(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar


def bars(n, side=12):
    img = torch.zeros(n, side, side)
    pos = torch.randint(0, side - 2, (n,))
    flip = torch.rand(n) < 0.5
    for i in range(n):
        img[i, pos[i]:pos[i] + 3] = 1.0
        if flip[i]:
            img[i] = img[i].T.clone()
    return img.flatten(1)


def elbo(logits, x, mu, logvar):
    err = F.mse_loss(logits, x, reduction="none").sum(1)
    kl = -0.5 * (1 + logvar - mu ** 2 - logvar.exp()).sum(1)
    per_image = err + 0.1 * kl
    return per_image.sum()  # fix: return per_image.mean() / x.shape[1]


class Trainer:
    def __init__(self, model, data, steps, batch):
        self.model, self.data, self.steps, self.batch = model, data, steps, batch
        self.opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, steps, 0.02)

    def fit(self):
        for _ in range(self.steps):
            x = self.data[torch.randint(0, len(self.data), (self.batch,))]
            loss = elbo(*(lambda o: (o[0], x, o[1], o[2]))(self.model(x)))
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.sched.step()
        return loss.item()


torch.manual_seed(21)
print("final loss", Trainer(BarsVAE(), bars(600), 1500, 64).fit())
