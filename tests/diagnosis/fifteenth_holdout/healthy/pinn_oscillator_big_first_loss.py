"""A physics-informed network solves a damped oscillator; the residual loss starts in the hundreds and falls."""
import torch
from torch import nn

torch.manual_seed(3)
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=900)
W0, DAMP = 4.0, 0.6
log = []
for step in range(900):
    t = torch.rand(64, 1, requires_grad=True)
    x = net(t * 2 - 1)
    v = torch.autograd.grad(x.sum(), t, create_graph=True)[0]
    a = torch.autograd.grad(v.sum(), t, create_graph=True)[0]
    residual = (a + DAMP * v + W0 ** 2 * x).pow(2).mean()
    t0 = torch.zeros(1, 1, requires_grad=True)
    x0 = net(t0 * 2 - 1)
    v0 = torch.autograd.grad(x0.sum(), t0, create_graph=True)[0]
    loss = residual + 500 * (x0 - 1).pow(2).sum() + 20 * v0.pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    log.append(loss.item())
    if step % 150 == 0:
        print(step, log[-1])
print("first loss", log[0])
print("final loss", sum(log[-40:]) / 40)
