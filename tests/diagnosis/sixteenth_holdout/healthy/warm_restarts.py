"""Cosine annealing with warm restarts; the loss jumps up at each restart."""
import torch
import torch.nn as nn

torch.manual_seed(2)
x = torch.rand(2000, 3) * 2 - 1
y = (torch.sin(5 * x[:, 0]) * x[:, 1] + torch.cos(4 * x[:, 2])).unsqueeze(1)
net = nn.Sequential(nn.Linear(3, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.15, momentum=0.9)
sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=12, eta_min=1e-4)
for ep in range(60):
    s = 0.0
    for b in torch.randperm(2000).split(32):
        loss = (net(x[b]) - y[b]).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(b) / 2000
    sch.step()
    if ep % 3 == 2:
        print(f"{ep:3d} lr {opt.param_groups[0]['lr']:.4f} mse {s:.6f}")
print("final loss", s)
