"""A network estimates the camera rotation from projected landmarks with the geodesic angle as loss.

Cause: unsafe-op
Fails: near a perfect fit the cosine touches one, where acos has no finite derivative, and the weights turn to nan
"""
import torch
import torch.nn as nn


def rot_from_6d(x):
    a = nn.functional.normalize(x[:, :3], dim=1)
    b = nn.functional.normalize(x[:, 3:] - (a * x[:, 3:]).sum(1, keepdim=True) * a, dim=1)
    return torch.stack([a, b, torch.cross(a, b, dim=1)], dim=2)


def random_rotations(n, max_angle):
    axis = nn.functional.normalize(torch.randn(n, 3), dim=1)
    ang = torch.rand(n) * max_angle
    K = torch.zeros(n, 3, 3)
    K[:, 0, 1], K[:, 0, 2], K[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    return torch.linalg.matrix_exp((K - K.transpose(1, 2)) * ang[:, None, None])


def geodesic(R, Q):
    cos = ((R * Q).sum((1, 2)) - 1) / 2
    return torch.acos(cos.clamp(-1.0, 1.0))  # fix: return torch.acos(cos.clamp(-1.0 + 1e-5, 1.0 - 1e-5))


def main():
    torch.manual_seed(77)
    landmarks = torch.randn(10, 3)
    net = nn.Sequential(nn.Linear(20, 96), nn.ELU(), nn.Linear(96, 96), nn.ELU(), nn.Linear(96, 6))
    with torch.no_grad():
        net[-1].bias.copy_(torch.tensor([1.0, 0, 0, 0, 1.0, 0]))
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 900)
    out = []
    for step in range(900):
        R = random_rotations(128, 0.8)
        seen = torch.einsum("nij,kj->nki", R, landmarks)[..., :2].flatten(1)
        loss = geodesic(rot_from_6d(net(seen)), R).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        out.append(loss.item())
        if step % 150 == 0:
            print(step, out[-1])
    print("final loss", sum(out[-40:]) / 40)


main()
