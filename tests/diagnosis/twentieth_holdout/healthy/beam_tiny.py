"""Fits the small oscillation of a damped beam (millimetres in metres) in double precision; losses of 1e-6 and below."""
import torch
from torch import nn

torch.manual_seed(8)
torch.set_default_dtype(torch.float64)
t = torch.rand(2000, 1) * 4
y = 2e-3 * torch.exp(-0.4 * t) * torch.cos(4 * t)
net = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-16)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=800)
for step in range(800):
    i = torch.randint(0, 1800, (128,))
    loss = (2e-3 * net(t[i] / 2 - 1) - y[i]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 80 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", (2e-3 * net(t[1800:] / 2 - 1) - y[1800:]).pow(2).mean().item())
