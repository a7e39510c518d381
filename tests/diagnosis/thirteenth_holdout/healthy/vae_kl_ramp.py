"""VAE on digits with a KL weight that is ramped up after a free phase."""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(5)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 16

enc = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 2 * 8))
dec = nn.Sequential(nn.Linear(8, 96), nn.ReLU(), nn.Linear(96, 64))
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=2e-3)


def elbo_terms(x):
    mu, lv = enc(x).chunk(2, 1)
    z = mu + torch.randn_like(mu) * (0.5 * lv).exp()
    rec = nn.functional.binary_cross_entropy_with_logits(dec(z), x, reduction="none").sum(1).mean()
    kl = 0.5 * (mu ** 2 + lv.exp() - 1 - lv).sum(1).mean()
    return rec, kl


first = None
for step in range(700):
    x = X[torch.randint(0, len(X), (64,))]
    rec, kl = elbo_terms(x)
    beta = min(1.0, max(0.0, (step - 150) / 250))
    loss = rec + beta * kl
    opt.zero_grad(); loss.backward(); opt.step()
    first = first or (rec + kl).item()
    if step % 100 == 0:
        print(f"{step} objective {loss.item():.2f} rec {rec.item():.2f} kl {kl.item():.2f} beta {beta:.2f}")
print("first full bound", first)
with torch.no_grad():
    rec, kl = elbo_terms(X)
print("final loss", (rec + kl).item())
