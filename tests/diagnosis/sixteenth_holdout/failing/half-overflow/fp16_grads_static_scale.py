"""Hand-written master-weight training: fp16 working copy, fp32 master, static scale.

Cause: half-overflow
Fails: the scaled loss does not fit float16, so gradients are inf/nan and so are the
weights after one update.
"""
import copy
import torch
from torch import nn

torch.manual_seed(33)
SCALE = 2.0 ** 18  # fix: SCALE = 2.0 ** 8
g = torch.Generator().manual_seed(1)
centers = torch.randn(8, 24, generator=g) * 1.2
lab = torch.randint(0, 8, (3200,), generator=g)
pts = centers[lab] + torch.randn(3200, 24, generator=g)

master = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
work = copy.deepcopy(master).half()
opt = torch.optim.SGD(master.parameters(), lr=0.05, momentum=0.9)


def sync():
    with torch.no_grad():
        for m, w in zip(master.parameters(), work.parameters()):
            w.copy_(m)


losses = []
for step in range(2200):
    idx = torch.randint(0, 3200, (64,))
    loss = nn.functional.cross_entropy(work(pts[idx].half()), lab[idx])
    work.zero_grad()
    (loss * SCALE).backward()
    for m, w in zip(master.parameters(), work.parameters()):
        m.grad = w.grad.float() / SCALE
    opt.step()
    sync()
    losses.append(loss.item())
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.4f}")
print("final loss", sum(losses[-50:]) / 50)
