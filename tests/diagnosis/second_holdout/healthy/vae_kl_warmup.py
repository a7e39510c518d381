"""VAE on digits with KL warm-up: the loss rises while the weight of the KL term grows."""
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 16


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
        self.d = nn.Sequential(nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        mu, lv = self.e(x).chunk(2, 1)
        z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
        return self.d(z), mu, lv


vae = VAE()
opt = torch.optim.Adam(vae.parameters(), lr=1e-3)
EPOCHS = 30
for epoch in range(EPOCHS):
    beta = min(1.0, max(0.0, (epoch - 6) / 12))
    tot = 0.0
    for i in torch.randperm(len(X)).split(64):
        rec, mu, lv = vae(X[i])
        bce = F.binary_cross_entropy_with_logits(rec, X[i], reduction="sum") / len(i)
        kl = -0.5 * (1 + lv - mu ** 2 - lv.exp()).sum(1).mean()
        loss = bce + beta * kl
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(i) / len(X)
    if epoch % 3 == 0:
        print(f"epoch {epoch} beta {beta:.2f} loss {tot:.3f} kl {kl.item():.2f}")
print("final loss", tot)
