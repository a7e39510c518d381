"""Autoencoder grown stage by stage; a new inner block is added and the error jumps for a moment."""
import torch
import torch.nn as nn

torch.manual_seed(16)
lat = torch.randn(2500, 4)
x = torch.tanh(lat @ torch.randn(4, 64)) + 0.02 * torch.randn(2500, 64)
enc, dec = nn.ModuleList(), nn.ModuleList()
sizes = [64, 48, 24, 8]
opt = None


def run(v):
    for e in enc:
        v = torch.nn.functional.silu(e(v))
    for d in reversed(dec):
        v = d(v) if d is dec[0] else torch.nn.functional.silu(d(v))
    return v


for stage in range(3):
    enc.append(nn.Linear(sizes[stage], sizes[stage + 1]))
    dec.append(nn.Linear(sizes[stage + 1], sizes[stage]))
    opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=2e-3)
    for ep in range(30):
        t = 0.0
        for b in torch.randperm(2500).split(50):
            loss = (run(x[b]) - x[b]).pow(2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            t += loss.item() / 50
        if ep % 6 == 0:
            print(f"stage {stage} epoch {ep} mse {t:.5f}")
print(f"final loss {t:.6f}")
