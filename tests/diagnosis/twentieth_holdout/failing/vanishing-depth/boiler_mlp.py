"""Predicts the efficiency of a boiler from operating conditions with a sixteen-layer tanh network.

Cause: vanishing-depth
Fails: the loss stays at the variance of the target
"""
import torch
from torch import nn

torch.manual_seed(29)
n = 5000
x = torch.rand(n, 6) * 2 - 1
y = torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] - 0.4 * x[:, 4].abs() + 0.1 * torch.randn(n)
y = ((y - y.mean()) / y.std()).unsqueeze(1)


class Deep(nn.Module):
    def __init__(self, width=64, depth=16):
        super().__init__()
        dims = [6] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims, dims[1:]))
        self.out = nn.Linear(width, 1)
        for lin in self.hidden:
            nn.init.trunc_normal_(lin.weight, std=0.02)  # fix: nn.init.xavier_normal_(lin.weight)
            nn.init.zeros_(lin.bias)

    def forward(self, v):
        for lin in self.hidden:
            v = torch.tanh(lin(v))
        return self.out(v)


model = Deep()
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 700, eta_min=1e-3)
for step in range(700):
    i = torch.randint(0, 4500, (128,))
    loss = nn.functional.mse_loss(model(x[i]), y[i])
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    sched.step()
    if step % 70 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(model(x[4500:]), y[4500:]).item())
