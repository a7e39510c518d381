"""Energy based anomaly score for network flows: an energy net pushed down on real flows and up on shuffled ones.

Cause: weight-growth
Fails: the loss falls without end (-7700); the evaluation ends at 506 (0.69 untrained)
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(67)
rng = np.random.default_rng(67)


def flows(n):
    size = rng.normal(0, 1, n)
    x = np.stack([size, 0.9 * size + 0.3 * rng.normal(size=n), rng.normal(size=n), -0.7 * size + 0.5 * rng.normal(size=n)], 1)
    return torch.tensor(x, dtype=torch.float32)


def shuffled(x):
    return torch.stack([x[torch.randperm(len(x)), j] for j in range(x.shape[1])], 1)


energy = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
opt = torch.optim.RMSprop(energy.parameters(), lr=1e-3)
for step in range(1200):
    real = flows(128)
    fake = shuffled(real)
    e_real, e_fake = energy(real).squeeze(1), energy(fake).squeeze(1)
    reg = 0.0  # fix: reg = 0.5 * (e_real.square().mean() + e_fake.square().mean())
    loss = e_real.mean() - e_fake.mean() + reg
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print("step", step, "gap", (e_fake.mean() - e_real.mean()).item())

with torch.no_grad():
    real = flows(4000)
    e = energy(torch.cat([real, shuffled(real)])).squeeze(1)
    label = torch.cat([torch.zeros(4000), torch.ones(4000)])
    score = nn.functional.binary_cross_entropy_with_logits(e, label).item()
print("final loss", score)
