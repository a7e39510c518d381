"""Trains an image autoencoder with separate optimizers for encoder and decoder.

Cause: missing-zero-grad
Fails: the decoder's gradients pile up from the first step on, the reconstruction gets worse and worse
"""
import torch
from torch import nn
from sklearn.datasets import load_digits

cfg = {"latent": 12, "lr_enc": 0.05, "lr_dec": 0.05, "batch": 64, "epochs": 12}


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, cfg["latent"]))

    def forward(self, x):
        return self.f(x)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(cfg["latent"], 64), nn.ReLU(), nn.Linear(64, 64))

    def forward(self, z):
        return self.f(z)


class Trainer:
    def __init__(self):
        torch.manual_seed(0)
        self.enc, self.dec = Encoder(), Decoder()
        self.opt_e = torch.optim.SGD(self.enc.parameters(), lr=cfg["lr_enc"], momentum=0.9)
        self.opt_d = torch.optim.SGD(self.dec.parameters(), lr=cfg["lr_dec"], momentum=0.9)
        x = torch.tensor(load_digits().data, dtype=torch.float32)
        self.x = (x - x.mean(0)) / (x.std(0) + 0.1)

    def step(self, xb):
        loss = nn.functional.mse_loss(self.dec(self.enc(xb)), xb)
        self.opt_e.zero_grad()
        # fix: self.opt_d.zero_grad()
        loss.backward()
        self.opt_e.step()
        self.opt_d.step()
        return loss.item()

    def fit(self):
        for epoch in range(cfg["epochs"]):
            losses = [self.step(self.x[i]) for i in torch.randperm(len(self.x)).split(cfg["batch"])]
            print(epoch, sum(losses) / len(losses))
        return sum(losses) / len(losses)


print("final loss", Trainer().fit())
