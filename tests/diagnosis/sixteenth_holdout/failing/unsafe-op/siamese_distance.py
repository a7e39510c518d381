"""Siamese embedding with Euclidean contrastive loss for signature snippets.

Cause: unsafe-op
Fails: pairs can consist of twice the same snippet; the square root has an infinite
slope at zero and the weights become nan.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(29)
writers = torch.randn(30, 16)
who = torch.randint(0, 30, (600,))
snips = torch.cat([writers[who] + 0.3 * torch.randn(600, 16), torch.randn(600, 8)], 1)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(24, 64), nn.LeakyReLU(0.1), nn.Linear(64, 64), nn.LeakyReLU(0.1), nn.Linear(64, 8))

    def forward(self, x):
        return self.net(x)


def draw(n):
    i = torch.randint(0, 600, (n,))
    j = torch.randint(0, 600, (n,))
    for k in range(0, n, 2):
        mates = (who == who[i[k]]).nonzero().flatten()
        j[k] = mates[torch.randint(0, len(mates), (1,))]
    return i, j


enc = Encoder()
opt = torch.optim.Adam(enc.parameters(), lr=1e-3)
log = []
for step in range(1500):
    i, j = draw(64)
    diff = enc(snips[i]) - enc(snips[j])
    dist = diff.pow(2).sum(1).sqrt()  # fix: dist = (diff.pow(2).sum(1) + 1e-8).sqrt()
    same = (who[i] == who[j]).float()
    loss = (same * dist ** 2 + (1 - same) * F.relu(2.0 - dist) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if (step + 1) % 150 == 0:
        print(f"step {step + 1}: contrastive {sum(log[-150:]) / 150:.4f}")
print("final loss", sum(log[-100:]) / 100)
