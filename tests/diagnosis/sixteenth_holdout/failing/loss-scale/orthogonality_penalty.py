"""Linear-probe bottleneck with an orthogonality penalty whose weight follows a schedule.

Cause: loss-scale
Fails: trains for a while, then the penalty weight grows without bound and the
momentum-SGD run blows up to nan.
"""
import torch
from torch import nn

torch.manual_seed(61)
n, d, k = 4000, 30, 8
basis = torch.linalg.qr(torch.randn(d, k))[0]
src = torch.randn(n, k)
x = src @ basis.T + 0.05 * torch.randn(n, d)
y = torch.sin(src[:, :2]).sum(1, keepdim=True) + src[:, 2:3] * src[:, 3:4]

proj = nn.Linear(d, k, bias=False)
net = nn.Sequential(nn.Linear(k, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.SGD([*proj.parameters(), *net.parameters()], lr=0.02, momentum=0.9)


def penalty_weight(epoch):
    return 0.01 * 2.0 ** epoch  # fix: return 0.01 * min(2.0 ** epoch, 32)


for epoch in range(34):
    fit = 0.0
    for idx in torch.randperm(n).split(50):
        err = (net(proj(x[idx])) - y[idx]).pow(2).mean()
        W = proj.weight
        pen = (W @ W.T - torch.eye(k)).pow(2).sum()
        loss = err + penalty_weight(epoch) * pen
        opt.zero_grad()
        loss.backward()
        opt.step()
        fit += err.item() / 80
    print(f"ep {epoch:2d} fit {fit:.4f} pen {pen.item():.4g}")
print(f"final loss {fit}")
