"""Learns an embedding of appliance power signatures with a triplet loss and a small convolution net.

Cause: unsafe-op
Fails: NaN once a triplet draws the same recording as anchor and positive
"""
import torch
import torch.nn as nn

torch.manual_seed(14)
K, PER, T = 8, 300, 80
t = torch.arange(T).float()
proto = []
for k in range(K):
    on = 10 + 3 * k % 25
    shape = torch.exp(-(t - on).clamp(min=0) / (6 + 4 * (k % 4))) * (t >= on) + 0.4 * torch.sin(0.15 * (k + 2) * t) * (t >= on)
    proto.append(shape)
proto = torch.stack(proto)
bank = proto.unsqueeze(1) * (0.8 + 0.4 * torch.rand(K, PER, 1)) + 0.7 * torch.randn(K, PER, T)

net = nn.Sequential(
    nn.Conv1d(1, 16, 7, stride=2, padding=3), nn.GELU(),
    nn.Conv1d(16, 32, 5, stride=2, padding=2), nn.GELU(),
    nn.Conv1d(32, 32, 3, stride=2, padding=1), nn.GELU(),
    nn.Flatten(), nn.Linear(320, 16),
)


def dist(a, b):
    return (a - b).pow(2).sum(1).sqrt()  # fix: return ((a - b).pow(2).sum(1) + 1e-8).sqrt()


def triplet_loss(n, lo, hi):
    c = torch.randint(0, K, (n,))
    other = (c + torch.randint(1, K, (n,))) % K
    a = bank[c, torch.randint(lo, hi, (n,))]
    p = bank[c, torch.randint(lo, hi, (n,))]
    q = bank[other, torch.randint(lo, hi, (n,))]
    ea, ep, eq = (net(v.unsqueeze(1)) for v in (a, p, q))
    return torch.relu(dist(ea, ep) - dist(ea, eq) + 1.0).mean()


opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for step in range(500):
    loss = triplet_loss(24, 0, 240)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", triplet_loss(1000, 240, 300).item())
