"""A sparse autoencoder over synthetic superposed features, with decoder normalisation after each step.

Cause: dead-units
Fails: the encoder threshold sits far above every pre-activation, no feature ever fires and the reconstruction stays at the data mean
"""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(61)
D, DICT, ACTIVE = 24, 64, 3
atoms = F.normalize(torch.randn(40, D), dim=1)


def activations(n=128):
    code = torch.zeros(n, 40)
    idx = torch.rand(n, 40).topk(ACTIVE, dim=1).indices
    code.scatter_(1, idx, 0.5 + torch.rand(n, ACTIVE))
    return code @ atoms + 0.02 * torch.randn(n, D)


class SAE(nn.Module):
    def __init__(self, threshold=8.0):  # fix: def __init__(self, threshold=0.1):
        super().__init__()
        w = F.normalize(torch.randn(DICT, D), dim=1)
        self.W_enc = nn.Parameter(w.clone())
        self.b_enc = nn.Parameter(torch.full((DICT,), -threshold))
        self.W_dec = nn.Parameter(w.clone())
        self.b_dec = nn.Parameter(torch.zeros(D))

    def encode(self, x):
        return F.relu((x - self.b_dec) @ self.W_enc.t() + self.b_enc)

    def forward(self, x):
        f = self.encode(x)
        return f @ self.W_dec + self.b_dec, f

    @torch.no_grad()
    def normalise(self):
        self.W_dec.div_(self.W_dec.norm(dim=1, keepdim=True))


sae = SAE()
opt = torch.optim.Adam(sae.parameters(), lr=3e-3)
history = []
for step in range(400):
    x = activations()
    x_hat, f = sae(x)
    mse = (x_hat - x).pow(2).sum(-1).mean()
    loss = mse + 0.03 * f.abs().sum(-1).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sae.normalise()
    history.append(loss.item())
    if step % 100 == 0:
        print(f"{step} mse {mse.item():.4f} l0 {(f > 0).float().sum(-1).mean().item():.2f}")
print("final loss", sum(history[-10:]) / 10)
