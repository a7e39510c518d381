"""A gate network with positive initial weights calibrates the log-probabilities of several spam filters.

Cause: dead-units
Fails: all inputs are negative logs and all weights positive, so no ReLU ever fires and only the output bias moves
"""
import torch
from torch import nn

torch.manual_seed(66)


def filters(n, k=12):
    y = (torch.rand(n) < 0.5).float()
    quality = torch.linspace(0.2, 1.6, k)
    z = quality * (2 * y[:, None] - 1) + torch.randn(n, k)
    return nn.functional.logsigmoid(z), y


class Calibrator(nn.Module):
    def __init__(self, k=12, h=40):
        super().__init__()
        self.l1, self.l2, self.l3 = nn.Linear(k, h), nn.Linear(h, h), nn.Linear(h, 1)
        for lin in (self.l1, self.l2):
            bound = 1 / lin.in_features ** 0.5
            nn.init.uniform_(lin.weight, 0.0, bound)  # fix: nn.init.uniform_(lin.weight, -bound, bound)
            nn.init.zeros_(lin.bias)

    def forward(self, x):
        return self.l3(self.l2(self.l1(x).relu()).relu()).squeeze(1)


net = Calibrator()
opt = torch.optim.Adam(net.parameters(), lr=2e-3, fused=True)
lossfn = nn.BCEWithLogitsLoss()
trace = []
for step in range(600):
    x, y = filters(96)
    loss = lossfn(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    trace.append(loss.item())
    if step % 100 == 0:
        print(step, trace[-1])
print("final loss", sum(trace[-50:]) / 50)
