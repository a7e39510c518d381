"""Mask-predicting denoiser for toy tones, trained on log-magnitude spectra.

Cause: unsafe-op
Fails: falls from 2.86 to 1.45 until a muted clip comes up; NaN from step 39 on.
"""
import math

import torch
import torch.nn as nn

SR, N = 4000, 1024
WINDOW = torch.hann_window(128)


def spec(wave):
    return torch.stft(wave, 128, hop_length=64, window=WINDOW, return_complex=True).abs().transpose(1, 2)


def clips(count, gen):
    t = torch.arange(N) / SR
    f = 200 + 1200 * torch.rand(count, 2, 1, generator=gen)
    tone = torch.sin(2 * math.pi * f * t).sum(1) * (0.4 + 0.6 * torch.rand(count, 1, generator=gen))
    tone = tone + 0.05 * torch.randn(count, N, generator=gen)
    hiss = 0.5 * torch.randn(count, N, generator=gen)
    muted = torch.rand(count, 1, generator=gen) < 0.004
    gate = 1.0 - (muted & (t < 0.05)).float()
    return tone * gate, (tone + hiss) * gate


class Masker(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(65, 48, batch_first=True)
        self.fc = nn.Linear(48, 65)

    def forward(self, mag):
        h, _ = self.gru(torch.log1p(mag))
        return torch.sigmoid(self.fc(h)) * mag


def log_distance(a, b):
    return (torch.log(a) - torch.log(b)).square().mean()  # fix: return (torch.log(a + 0.05) - torch.log(b + 0.05)).square().mean()


gen = torch.Generator().manual_seed(40)
torch.manual_seed(40)
clean, noisy = clips(800, gen)
clean, noisy = spec(clean), spec(noisy)
model = Masker()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(5):
    tot, nb = 0.0, 0
    for idx in torch.randperm(800).split(16):
        loss = log_distance(model(noisy[idx]), clean[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
        nb += 1
        if epoch == 0 and nb <= 40 and nb % 3 == 1:
            print("batch", nb, loss.item())
    print("epoch", epoch, tot / nb)
print("final loss", tot / nb)
