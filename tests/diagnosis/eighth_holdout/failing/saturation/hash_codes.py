"""Binary hashing autoencoder for product embeddings: a steep sigmoid gives 24-bit codes.
Cause: saturation
Fails: the loss goes from 0.45 to 0.31 by step 120 (decoder only) and stays there (fixed run 0.0014)
"""
import torch
import torch.nn as nn

torch.manual_seed(44)
BITS = 24
STEEP = 200.0  # fix: STEEP = 2.0

basis = torch.randn(8, 48) / 8 ** 0.5


def products(n):
    f = torch.randn(n, 8).tanh()
    return f @ basis + 0.02 * torch.randn(n, 48)


class Hasher(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(48, 96), nn.Sigmoid(), nn.Linear(96, 64), nn.Sigmoid(), nn.Linear(64, BITS))
        self.dec = nn.Sequential(nn.Linear(BITS, 96), nn.ReLU(), nn.Linear(96, 48))

    def forward(self, x):
        code = torch.sigmoid(STEEP * self.enc(x))
        return self.dec(code)


model = Hasher()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
curve = []
for it in range(1200):
    x = products(128)
    loss = (model(x) - x).square().mean()
    opt.zero_grad(); loss.backward(); opt.step()
    curve.append(loss.item())
    if it % 120 == 0:
        print(it, round(curve[-1], 5))
print("final loss", sum(curve[-40:]) / 40)
