"""Convolution-free VAE on blurry seven-segment digits, trained with momentum SGD.
Cause: loss-scale
Fails: the loss is not finite from step 1 on
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

SEG = {0: "abcdef", 1: "bc", 2: "abged", 3: "abgcd", 4: "fgbc", 5: "afgcd", 6: "afgedc", 7: "abc", 8: "abcdefg", 9: "abcdfg"}


def draw(d):
    im = torch.zeros(14, 10)
    box = dict(a=(slice(1, 3), slice(2, 8)), g=(slice(6, 8), slice(2, 8)), d=(slice(11, 13), slice(2, 8)),
               f=(slice(2, 7), slice(1, 3)), b=(slice(2, 7), slice(7, 9)), e=(slice(7, 12), slice(1, 3)), c=(slice(7, 12), slice(7, 9)))
    for s in SEG[d]:
        im[box[s]] = 1.0
    return im


class VAE(nn.Module):
    def __init__(self, z=6):
        super().__init__()
        self.e1 = nn.Linear(140, 128)
        self.mu = nn.Linear(128, z)
        self.lv = nn.Linear(128, z)
        self.d1 = nn.Linear(z, 128)
        self.d2 = nn.Linear(128, 140)

    def forward(self, x):
        h = F.relu(self.e1(x))
        mu, lv = self.mu(h), self.lv(h)
        z = mu + (0.5 * lv).exp() * torch.randn_like(mu)
        return self.d2(F.relu(self.d1(z))), mu, lv


def elbo(logits, x, mu, lv):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * (1 + lv - mu.pow(2) - lv.exp()).sum()
    return rec + kl  # fix: return (rec + kl) / x.numel()


torch.manual_seed(21)
glyphs = torch.stack([draw(d) for d in range(10)])


def batch(n):
    g = glyphs[torch.randint(0, 10, (n,))]
    g = g * (0.7 + 0.3 * torch.rand(n, 1, 1))
    return (g + 0.05 * torch.randn_like(g)).clamp(0, 1).view(n, -1)


model = VAE()
opt = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
for it in range(1200):
    x = batch(128)
    loss = elbo(*(lambda o: (o[0], x, o[1], o[2]))(model(x)))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 150 == 0:
        print(it, "per-image", loss.item() / 128)
with torch.no_grad():
    x = batch(1000)
    logits, mu, lv = model(x)
    print("final loss", F.binary_cross_entropy_with_logits(logits, x).item())
