"""House price regression in thousands; the first loss is about a hundred thousand and falls by orders of magnitude."""
import torch
from torch import nn

torch.manual_seed(7)
n = 4000
x = torch.randn(n, 8)
price = 300 + 80 * x[:, 0] + 40 * torch.relu(x[:, 1]) - 25 * x[:, 2] * x[:, 3] + 10 * torch.randn(n)
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.996)
for step in range(800):
    i = torch.randint(0, 3500, (128,))
    loss = nn.functional.mse_loss(net(x[i]).squeeze(1), price[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 80 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(net(x[3500:]).squeeze(1), price[3500:]).item())
