"""Sequence autoencoder for heartbeat windows; encoder and decoder have their own optimizers.

Cause: missing-zero-grad
Fails: the loss is not finite from step 132 on
"""
import math
import torch
from torch import nn, optim

torch.manual_seed(50)


def heartbeats(n, length=64):
    t = torch.linspace(0, 1, length)[None]
    c = 0.5 + 0.1 * torch.randn(n, 1)
    amp = 1 + 0.3 * torch.randn(n, 1)
    qrs = amp * torch.exp(-((t - c) / 0.03) ** 2)
    twave = 0.3 * torch.exp(-((t - c - 0.2) / 0.06) ** 2)
    drift = 0.2 * torch.randn(n, 1) * torch.sin(2 * math.pi * (t + torch.rand(n, 1)))
    return qrs + twave + drift + 0.03 * torch.randn(n, length)


def mlp(*dims):
    mods = []
    for a, b in zip(dims[:-1], dims[1:]):
        mods += [nn.Linear(a, b), nn.LeakyReLU(0.1)]
    return nn.Sequential(*mods[:-1])


def main():
    encoder, decoder = mlp(64, 96, 48, 8), mlp(8, 48, 96, 64)
    enc_opt = optim.SGD(encoder.parameters(), lr=0.2, momentum=0.9)
    dec_opt = optim.SGD(decoder.parameters(), lr=0.2, momentum=0.9)
    history = []
    for step in range(700):
        x = heartbeats(64)
        recon = decoder(encoder(x))
        loss = nn.functional.mse_loss(recon, x) * 4
        dec_opt.zero_grad()
        # fix: enc_opt.zero_grad()
        loss.backward()
        enc_opt.step()
        dec_opt.step()
        history.append(loss.item())
        if step % 100 == 0:
            print(f"step {step:4d} loss {loss.item():.4f}")
    print("final loss", sum(history[-50:]) / 50)


main()
