"""Head-pose style rotation regression with the geodesic (arccos of the trace) loss.

Cause: unsafe-op
Fails: the arccos has no finite derivative at one and no value above, the first gradient is nan because frontal faces are predicted exactly
First bad: step 0, backward, aten.rsqrt, AcosBackward0
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)


def rot6d_to_matrix(a):
    b1 = F.normalize(a[:, :3], dim=1)
    b2 = F.normalize(a[:, 3:] - (b1 * a[:, 3:]).sum(1, keepdim=True) * b1, dim=1)
    return torch.stack([b1, b2, torch.cross(b1, b2, dim=1)], dim=1)


def random_pose(n):
    yaw, pitch = torch.rand(n) * 1.2 - 0.6, torch.rand(n) * 0.8 - 0.4
    still = torch.rand(n) < 0.3  # a frontal face is the commonest pose
    yaw, pitch = torch.where(still, 0.0, yaw), torch.where(still, 0.0, pitch)
    zero, one = torch.zeros(n), torch.ones(n)
    ry = torch.stack([yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()], 1).view(n, 3, 3)
    rx = torch.stack([one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()], 1).view(
        n, 3, 3
    )
    return ry @ rx


KEYPOINTS = torch.randn(9, 3)


class PoseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(27, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU())
        self.out = nn.Linear(96, 6)
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def forward(self, pts):
        return rot6d_to_matrix(self.out(self.mlp(pts.flatten(1))))


def geodesic(Rp, Rt):
    trace = (Rp * Rt).sum(dim=(1, 2))
    cos = (trace - 1) / 2
    return torch.acos(cos)  # fix: return torch.acos(cos.clamp(-1 + 1e-6, 1 - 1e-6))


net = PoseNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
curve = []
for step in range(400):
    R = random_pose(48)
    pts = KEYPOINTS @ R.transpose(1, 2)
    loss = geodesic(net(pts), R).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    curve.append(loss.item())
print("final loss", sum(curve[-10:]) / 10)
