"""An autoencoder of spectra whose Adam keeps its moments in eight bits between epochs.

Cause: corrupt-state
Fails: the loss is not finite from step 31 on
First bad: step 30, optimizer, sqrt
"""

import torch
from torch import nn

torch.manual_seed(48)
channels = torch.linspace(0, 1, 40)
peaks = torch.rand(1500, 2, 1)
heights = 0.5 + torch.rand(1500, 2, 1)
spectra = (heights * torch.exp(-((channels - peaks) ** 2) / 0.01)).sum(1)

encoder = nn.Sequential(nn.Linear(40, 48), nn.ELU(), nn.Linear(48, 6))
decoder = nn.Sequential(nn.Linear(6, 48), nn.ELU(), nn.Linear(48, 40))
weights = [*encoder.parameters(), *decoder.parameters()]
m = [torch.zeros_like(w) for w in weights]
v = [torch.zeros_like(w) for w in weights]


CODE = {"signed": torch.int8, "positive": torch.int8}  # fix: CODE = {"signed": torch.int8, "positive": torch.uint8}
LARGEST = {"signed": 127, "positive": 255}


def pack(t, kind):
    scale = t.abs().max() / LARGEST[kind]
    return (t / scale).round().to(CODE[kind]), scale


def unpack(code, scale):
    return code.float() * scale


def adam(step, lr=2e-3, b1=0.9, b2=0.99, eps=1e-4):
    with torch.no_grad():
        for w, a, b in zip(weights, m, v):
            a.mul_(b1).add_(w.grad, alpha=1 - b1)
            b.mul_(b2).addcmul_(w.grad, w.grad, value=1 - b2)
            w -= lr * (a / (1 - b1**step)) / ((b / (1 - b2**step)).sqrt() + eps)
            w.grad = None


step, curve = 0, []
for epoch in range(10):
    for rows in torch.randperm(1500).split(50):
        step += 1
        loss = (decoder(encoder(spectra[rows])) - spectra[rows]).square().mean()
        loss.backward()
        adam(step)
        curve.append(loss.item())
    m = [unpack(*pack(a, "signed")) for a in m]
    v = [unpack(*pack(b, "positive")) for b in v]
    print("epoch", epoch, "loss", curve[-1])
print("final loss", sum(curve[-10:]) / 10)
