"""Machine unlearning of one class: cross-entropy down on the retained classes, up on the forgotten one.

Cause: weight-growth
Fails: the ascent term has no floor, logits and weights grow without end, the loss falls to minus infinity and the net breaks
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(40)
CLASSES, FORGET = 5, 3
centres = torch.randn(CLASSES, 12) * 1.3


def draw(n):
    y = torch.randint(0, CLASSES, (n,))
    return centres[y] + torch.randn(n, 12), y


net = nn.Sequential(nn.Linear(12, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, CLASSES))
opt = torch.optim.SGD(net.parameters(), lr=0.005, momentum=0.9)
curve = []
for step in range(400):
    x, y = draw(96)
    ce = F.cross_entropy(net(x), y, reduction="none")
    keep, drop = ce[y != FORGET].mean(), ce[y == FORGET].mean()
    # fix: drop = drop.clamp(max=3.0)
    loss = keep - 0.3 * drop
    opt.zero_grad()
    loss.backward()
    opt.step()
    curve.append(loss.item())
    if step % 80 == 0:
        with torch.no_grad():
            norm = sum(p.pow(2).sum() for p in net.parameters()).sqrt().item()
        print(f"step {step} keep {keep.item():.3f} drop {drop.item():.3f} |w| {norm:.2f}")
print("final loss", sum(curve[-10:]) / 10)
