"""A sparse autoencoder finds the dictionary behind mixed signals; codes pass a shifted ReLU.

Cause: dead-units
Fails: stays at 0.123, the variance of the signals
"""

import torch
import torch.nn.functional as F

torch.manual_seed(101)
SIGNAL, ATOMS, ACTIVE = 24, 32, 3
THRESHOLD = 8.0  # fix: THRESHOLD = 0.2

true_atoms = F.normalize(torch.randn(ATOMS, SIGNAL), dim=1)


def signals(count):
    which = torch.rand(count, ATOMS).argsort(1)[:, :ACTIVE]
    strengths = torch.zeros(count, ATOMS).scatter_(1, which, 0.5 + torch.rand(count, ACTIVE))
    return strengths @ true_atoms + 0.02 * torch.randn(count, SIGNAL)


encoder = torch.nn.Parameter(torch.randn(SIGNAL, ATOMS) / SIGNAL**0.5)
decoder = torch.nn.Parameter(torch.randn(ATOMS, SIGNAL) / ATOMS**0.5)
offset = torch.nn.Parameter(torch.zeros(SIGNAL))
optimizer = torch.optim.AdamW(
    [
        {"params": [encoder, decoder], "weight_decay": 1e-4},
        {"params": [offset], "weight_decay": 0.0},
    ],
    lr=5e-3,
)


def closure():
    optimizer.zero_grad()
    x = signals(64)
    code = F.relu((x - offset) @ encoder - THRESHOLD)
    loss = (code @ decoder + offset - x).square().mean() + 1e-3 * code.abs().mean()
    loss.backward()
    return loss


curve = []
for step in range(400):
    curve.append(optimizer.step(closure).item())
    if step % 80 == 0:
        print(step, curve[-1])

print("variance of the signals", signals(2000).var(0).mean().item())
print("final loss", sum(curve[-10:]) / 10)
