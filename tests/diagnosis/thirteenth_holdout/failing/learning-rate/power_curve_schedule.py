"""Wind turbine power curve (speed, direction, density -> power) with an inverse-time schedule.

Cause: learning-rate
Fails: final loss 4.215 (with the fix 0.2056)
"""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(48)


def curve(n):
    v = 25 * torch.rand(n)
    d = 6.2832 * torch.rand(n)
    rho = 1.2 + 0.05 * torch.randn(n)
    p = torch.clamp((v - 3) / 9, 0, 1) ** 2 * (1 - 0.15 * torch.cos(d)) * rho / 1.2
    p = torch.where(v > 23, torch.zeros_like(p), p)
    f = torch.stack([v / 12.5 - 1, torch.sin(d), torch.cos(d), (rho - 1.2) * 20], 1)
    return f, p * 3


X, y = curve(4000)
loader = DataLoader(TensorDataset(X, y), batch_size=80, shuffle=True)
Xv, yv = curve(1000)

net = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
decay = lambda k: 1000.0 / (1.0 + k)  # fix: decay = lambda k: 1000.0 / (1000.0 + k)
sched = torch.optim.lr_scheduler.LambdaLR(opt, decay)
for epoch in range(12):
    for xb, yb in loader:
        loss = nn.functional.l1_loss(net(xb).squeeze(1), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
    with torch.no_grad():
        out = net(Xv).squeeze(1)
        mae = (out - yv).abs().mean().item()
    print(f"epoch {epoch + 1} lr {sched.get_last_lr()[0]:.4f} valid mae {mae:.4f}")
print("final loss", mae)
