"""Pose network: point cloud of a known object -> rotation matrix, geodesic loss.

Cause: unsafe-op
Fails: nan within the first steps; the angle comes from acos of a trace term that can reach or
exceed one, where the value or derivative does not exist.
"""
import torch
from torch import nn

torch.manual_seed(17)
template = torch.randn(10, 3) * torch.tensor([1.5, 1.0, 0.6])


def rot6d(v):
    a, b = v[:, :3], v[:, 3:]
    e1 = nn.functional.normalize(a, dim=-1)
    b = b - (e1 * b).sum(-1, keepdim=True) * e1
    e2 = nn.functional.normalize(b, dim=-1)
    return torch.stack([e1, e2, torch.linalg.cross(e1, e2)], -1)


def sample(n):
    R = rot6d(torch.cat([torch.tensor([1., 0, 0]), torch.tensor([0, 1., 0])]) + 0.5 * torch.randn(n, 6))
    R[: n // 8] = torch.eye(3)
    return template @ R.transpose(1, 2), R


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(30, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 6))
        self.f[-1].weight.data.mul_(0.1)
        self.f[-1].bias.data = torch.tensor([1., 0, 0, 0, 1., 0])

    def forward(self, p):
        rest = self.f((p - template).flatten(1)) - self.f(torch.zeros(1, 30)) + self.f[-1].bias
        return rot6d(rest)


def geodesic(A, B):
    cos = ((A * B).sum((1, 2)) - 1) / 2
    return torch.acos(cos).mean()  # fix: return torch.acos(cos.clamp(-1 + 1e-5, 1 - 1e-5)).mean()


net = PoseNet()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
run = None
for it in range(3000):
    p, R = sample(64)
    loss = geodesic(net(p), R)
    opt.zero_grad()
    loss.backward()
    opt.step()
    run = loss.item() if run is None else 0.98 * run + 0.02 * loss.item()
    if it % 300 == 0:
        print(f"{it:5d} angle error {loss.item():.4f} rad")
print(f"final loss {run:.5f}")
