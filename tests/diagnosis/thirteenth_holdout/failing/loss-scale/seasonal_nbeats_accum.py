"""N-BEATS-like stack on seasonal sales with sixteen accumulated micro-batches per update.

Cause: loss-scale
Fails: the loss is not finite from step 3 on (with the fix: final loss 0.01322)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
BACK, FORE, ACCUM = 28, 7, 16


def block():
    return nn.Sequential(nn.Linear(BACK, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, BACK + FORE))


class Beats(nn.Module):
    def __init__(self, k=4):
        super().__init__()
        self.bl = nn.ModuleList([block() for _ in range(k)])

    def forward(self, x):
        y = 0.0
        for b in self.bl:
            o = b(x)
            x = x - o[:, :BACK]
            y = y + o[:, BACK:]
        return y


def micro_batch(n=8):
    t = torch.arange(BACK + FORE).float()
    amp = 0.5 + torch.rand(n, 1)
    ph = 7 * torch.rand(n, 1)
    tr = 0.03 * torch.randn(n, 1)
    s = amp * torch.sin(2 * torch.pi * (t + ph) / 7) + tr * t + 0.1 * torch.randn(n, BACK + FORE)
    return s[:, :BACK], s[:, BACK:]


net = Beats()
opt = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
trace = []
for update in range(160):
    opt.zero_grad()
    acc = 0.0
    for _ in range(ACCUM):
        x, y = micro_batch()
        l = F.mse_loss(net(x), y)
        l.backward()  # fix: (l / ACCUM).backward()
        acc += l.item() / ACCUM
    opt.step()
    trace.append(acc)
    if update % 20 == 0:
        print(update, acc)
print("final loss", sum(trace[-10:]) / 10)
