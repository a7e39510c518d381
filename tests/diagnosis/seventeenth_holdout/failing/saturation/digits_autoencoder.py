"""Trains an autoencoder on digit images.
Cause: saturation
Fails: reconstructions stay blank; the loss stays where it began.
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(6)
X = torch.tensor(load_digits().data, dtype=torch.float32)
X = X / 16.0

enc = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16))
dec = nn.Sequential(nn.Linear(16, 48), nn.ReLU(), nn.Linear(48, 64), nn.Sigmoid())
with torch.no_grad():
    dec[2].bias.copy_(torch.logit(X.min(0).values, eps=1e-9))  # fix: dec[2].bias.copy_(torch.logit(X.mean(0), eps=1e-2))

params = list(enc.parameters()) + list(dec.parameters())
opt = torch.optim.SGD(params, lr=0.5, momentum=0.9)
for epoch in range(60):
    order = torch.randperm(len(X))
    s, n = 0.0, 0
    for chunk in order.split(64):
        b = X[chunk]
        rec = dec(enc(b))
        loss = (rec - b).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        s, n = s + loss.item(), n + 1
    if epoch % 10 == 0:
        print(f"epoch {epoch}: {s / n:.5f}")
print(f"final loss {s / n:.5f}")
