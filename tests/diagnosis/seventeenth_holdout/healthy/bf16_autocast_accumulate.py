"""Trains a sequence regressor under bf16 autocast, four micro-batches per update, zeroing only after the update; noisy log."""
import torch
import torch.nn as nn

torch.manual_seed(7)
net = nn.Sequential(nn.Linear(20, 96), nn.SiLU(), nn.LayerNorm(96), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1))
teacher = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 1)).requires_grad_(False)
teacher[2].weight.mul_(4)
opt = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
tail = []
for i in range(2400):
    x = torch.randn(16, 20)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        p = net(x)
    loss = (p.float() - teacher(x)).pow(2).mean()
    (loss / 4).backward()
    if i % 4 == 3:
        opt.step()
        opt.zero_grad()
    tail.append(loss.item())
    if i % 300 == 0:
        print(i, round(loss.item(), 4))
print("final loss", round(sum(tail[-100:]) / 100, 4))
