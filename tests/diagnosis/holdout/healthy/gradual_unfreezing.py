"""Transfer in the fast.ai manner: frozen body first, then layer groups are thawed with discriminative rates."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(20)
A = torch.randn(20, 4)


def source(n=64):
    x = torch.randn(n, 20)
    return x, torch.tanh(x @ A)


def target(n=64):
    x = torch.randn(n, 20)
    return x, (torch.tanh(x @ A[:, :2]).sum(1) > 0).long()


body = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
reg_head, cls_head = nn.Linear(32, 4), nn.Linear(32, 2)
pre = torch.optim.Adam([*body.parameters(), *reg_head.parameters()], lr=3e-3)
for _ in range(150):
    x, t = source()
    loss = F.mse_loss(reg_head(body(x)), t)
    pre.zero_grad()
    loss.backward()
    pre.step()

for p in body.parameters():
    p.requires_grad_(False)
opt = torch.optim.AdamW(
    [
        {"params": body[0].parameters(), "lr": 1e-4},
        {"params": body[2].parameters(), "lr": 5e-4},
        {"params": cls_head.parameters(), "lr": 3e-3},
    ]
)
losses = []
for step in range(300):
    if step == 100:
        body[2].requires_grad_(True)
    if step == 200:
        body[0].requires_grad_(True)
    x, t = target()
    loss = F.cross_entropy(cls_head(body(x)), t)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
