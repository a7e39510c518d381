"""Regresses camera rotations from 2D projections of a known object, geodesic loss on SO(3).
Cause: unsafe-op
Fails: learns to 0.015 rad, then the loss is not finite from step 531 on
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
obj = torch.randn(10, 3)


def quat_to_mat(q):
    q = F.normalize(q, dim=-1)
    w, x, y, z = q.unbind(-1)
    return torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
                        2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
                        2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1).view(-1, 3, 3)


def sixd(v):
    a = F.normalize(v[:, :3], dim=-1)
    b = v[:, 3:] - (a * v[:, 3:]).sum(-1, keepdim=True) * a
    b = F.normalize(b, dim=-1)
    return torch.stack([a, b, torch.linalg.cross(a, b)], -1)


def geodesic(P, Q):
    c = ((P.transpose(1, 2) @ Q).diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2
    return torch.acos(c).mean()  # fix: return torch.acos(c.clamp(-1 + 1e-5, 1 - 1e-5)).mean()


net = nn.Sequential(nn.Linear(20, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 6))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 1500)
log = []
for it in range(1500):
    q = torch.cat([torch.ones(256, 1), 0.35 * torch.randn(256, 3)], 1)
    R = quat_to_mat(q)
    uv = (obj @ R.transpose(1, 2))[..., :2].flatten(1)
    loss = geodesic(sixd(net(uv)), R)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    log.append(loss.item())
    if it % 150 == 0:
        print(f"[{it}] angle {loss.item():.4f} rad")
print("final loss", sum(log[-50:]) / 50)
