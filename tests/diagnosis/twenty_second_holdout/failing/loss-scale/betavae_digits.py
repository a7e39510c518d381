"""Convolution-free VAE on scikit-learn digits with a KL warm-up schedule.

Cause: loss-scale
"""
import torch, torch.nn as nn, torch.nn.functional as F
from sklearn.datasets import load_digits

torch.set_num_threads(1); torch.manual_seed(2)
data = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)

class VAE(nn.Module):
    def __init__(self, z=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2 * z))
        self.dec = nn.Sequential(nn.Linear(z, 128), nn.ReLU(), nn.Linear(128, 64))
    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, -1)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp()
        return self.dec(z), mu, logvar

model = VAE()
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3, momentum=0.9)
kl_weight = 0.01
running = []
step = 0
for epoch in range(30):
    for x in data[torch.randperm(len(data))].split(64):
        rec, mu, lv = model(x)
        bce = F.binary_cross_entropy_with_logits(rec, x, reduction="none").sum(1).mean()
        kl = 0.5 * (mu ** 2 + lv.exp() - 1 - lv).sum(1).mean()
        loss = bce + kl_weight * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        kl_weight = kl_weight * 1.02  # fix: kl_weight = min(1.0, kl_weight * 1.01)
        running.append(loss.item())
        step += 1
    if epoch % 3 == 0:
        print(f"epoch {epoch} bce {bce.item():.2f} kl {kl.item():.3f}")
print("final loss", sum(running[-20:]) / 20)
