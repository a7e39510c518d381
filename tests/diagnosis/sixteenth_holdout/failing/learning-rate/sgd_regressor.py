"""Learning a two-dimensional energy landscape with momentum SGD at a high rate.

Cause: learning-rate
Fails: nan / huge loss within the first steps; the same rate is fine once ramped.
"""
import math
import torch
from torch import nn

torch.manual_seed(21)
X = torch.rand(2048, 2) * 4 - 2
E = (torch.sin(2 * X[:, 0]) * torch.cos(X[:, 1]) + 0.3 * X[:, 0] * X[:, 1])[:, None] + 4.0


class Landscape(nn.Module):
    def __init__(self, h=192):
        super().__init__()
        self.l1 = nn.Linear(2, h)
        self.l2 = nn.Linear(h, h)
        self.l3 = nn.Linear(h, h)
        self.out = nn.Linear(h, 1)
        for m in (self.l1, self.l2, self.l3, self.out):
            nn.init.kaiming_normal_(m.weight)
            nn.init.zeros_(m.bias)

    def forward(self, x):
        x = torch.relu(self.l1(x))
        x = torch.relu(self.l2(x))
        return self.out(torch.relu(self.l3(x)))


peak, total, ramp = 0.03, 1500, 400


def rate(step):
    warm = 1.0  # fix: warm = min(1.0, (step + 1) / ramp) ** 2
    return warm * peak * 0.5 * (1 + math.cos(math.pi * step / total))


net = Landscape()
opt = torch.optim.SGD(net.parameters(), lr=peak, momentum=0.9)
hist = []
for step in range(total):
    opt.param_groups[0]["lr"] = rate(step)
    idx = torch.randint(0, 2048, (128,))
    loss = ((net(X[idx]) - E[idx]) ** 2).mean()
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 150 == 0:
        print(f"{step:5d} | energy mse {hist[-1]:.5f}")
print(f"final loss {sum(hist[-50:]) / 50:.6f}")
