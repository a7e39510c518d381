"""Trains a VAE on the sklearn digits with a summed pixel loss, clamped log-variance and KL annealing, so the total rises for a while."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(11)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 16
enc = nn.Sequential(nn.Linear(64, 128), nn.ELU(), nn.Linear(128, 20))
dec = nn.Sequential(nn.Linear(10, 128), nn.ELU(), nn.Linear(128, 64))
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], 3e-3)
i = 0
for ep in range(40):
    s = []
    for b in torch.randperm(len(X)).split(64):
        mu, lv = enc(X[b]).chunk(2, 1)
        lv = lv.clamp(-8, 4)
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
        rec = F.binary_cross_entropy_with_logits(dec(z), X[b], reduction="none").sum(1).mean()
        kl = 0.5 * (mu ** 2 + lv.exp() - lv - 1).sum(1).mean()
        loss = rec + min(1.0, i / 400) * kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        i += 1
        s.append(loss.item())
    if ep % 6 == 0:
        print(ep, round(sum(s) / len(s), 3))
print("final loss", round(sum(s) / len(s), 3))
