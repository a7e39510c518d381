"""An implicit shape: a coordinate MLP whose soft occupancy must match a drawn mask.

Cause: saturation
Fails: the loss is 0.7619 at the start and at the end
"""
import torch
import torch.nn as nn

torch.manual_seed(0)
S = 40
yy, xx = torch.meshgrid(torch.linspace(-1, 1, S), torch.linspace(-1, 1, S), indexing="ij")
xy = torch.stack([xx, yy], -1).reshape(-1, 2)
mask = (((xx - 0.2) ** 2 + yy ** 2 < 0.4) & ~((xx - 0.45) ** 2 + (yy - 0.1) ** 2 < 0.08)).float().reshape(-1, 1)

SHARPNESS = 3000.0  # fix: SHARPNESS = 10.0


def encode(p):
    feats = [p]
    for k in (1.0, 2.0, 4.0):
        feats += [torch.sin(3 * k * p), torch.cos(3 * k * p)]
    return torch.cat(feats, -1)


field = nn.Sequential(nn.Linear(14, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
nn.init.constant_(field[-1].bias, 0.3)
enc = encode(xy)
optim = torch.optim.SGD(field.parameters(), lr=0.2, momentum=0.9)


def occupancy():
    return torch.sigmoid(SHARPNESS * field(enc))


for it in range(900):
    optim.zero_grad()
    loss = (occupancy() - mask).square().mean()
    loss.backward()
    optim.step()
    if it % 100 == 0:
        with torch.no_grad():
            hit = ((occupancy() > 0.5) == (mask > 0.5)).float().mean()
        print(f"[{it:4d}] loss {loss.item():.4f} pixels right {hit:.3f}")
print("final loss", loss.item())
