"""VAE on the 8x8 digits with KL warm-up from zero (total loss rises as beta rises, as it should); Adamax."""
import torch
from torch import nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_digits

class VAE(nn.Module):
    def __init__(self, zdim=8):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, 96), nn.ELU(), nn.Linear(96, 2 * zdim))
        self.dec = nn.Sequential(nn.Linear(zdim, 96), nn.ELU(), nn.Linear(96, 64))
    def forward(self, x):
        mu, lv = self.enc(x).chunk(2, -1)
        lv = lv.clamp(-8, 4)
        z = mu + torch.randn_like(mu) * (lv / 2).exp()
        rec = F.binary_cross_entropy_with_logits(self.dec(z), x, reduction="none").sum(1).mean()
        kl = -.5 * (1 + lv - mu ** 2 - lv.exp()).sum(1).mean()
        return rec, kl

torch.manual_seed(23)
x = torch.tensor(load_digits().data / 16., dtype=torch.float32)
dl = DataLoader(TensorDataset(x), batch_size=32, shuffle=True, drop_last=True)
vae = VAE(); opt = torch.optim.Adamax(vae.parameters(), lr=2e-3)
EPOCHS, WARM = 240, 60
step = 0
for ep in range(EPOCHS):
    tot = kls = 0.
    for (xb,) in dl:
        beta = min(1., max(0., (step - 500) / (WARM * len(dl))))
        rec, kl = vae(xb)
        loss = rec + beta * kl
        opt.zero_grad(); loss.backward(); opt.step()
        tot += loss.item(); kls += kl.item(); step += 1
    if ep % 20 == 0 or ep == EPOCHS - 1: print(f"epoch {ep} step {step} beta {beta:.2f} loss {tot/len(dl):.3f} kl {kls/len(dl):.2f}")
print(f"final loss {tot/len(dl):.4f}")
