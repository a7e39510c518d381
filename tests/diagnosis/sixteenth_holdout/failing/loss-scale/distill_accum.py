"""Distilling a wide teacher into a small student, 32 micro-batches per step.

Cause: loss-scale
Fails: gradients of the micro-batches are summed and never averaged; with this rate
plain SGD diverges.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(40)
ACCUM, MICRO, LR = 32, 8, 0.5

teacher = nn.Sequential(nn.Linear(20, 256), nn.Tanh(), nn.Linear(256, 5))
with torch.no_grad():
    teacher[0].weight.mul_(3)
    teacher[2].weight.mul_(8)
for p in teacher.parameters():
    p.requires_grad_(False)
student = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
opt = torch.optim.SGD(student.parameters(), lr=LR, momentum=0.9)


def kd(s, t, T=2.0):
    return F.kl_div(F.log_softmax(s / T, -1), F.softmax(t / T, -1), reduction="batchmean") * T * T


pool = torch.randn(8192, 20)
tlog = teacher(pool)
shown = []
micro = 0
opt.zero_grad()
for epoch in range(20):
    for idx in torch.randperm(len(pool)).split(MICRO):
        loss = kd(student(pool[idx]), tlog[idx])
        loss.backward()  # fix: (loss / ACCUM).backward()
        shown.append(loss.item())
        micro += 1
        if micro == ACCUM:
            opt.step()
            opt.zero_grad()
            micro = 0
    if epoch % 2 == 0:
        print("epoch", epoch, "kd", round(sum(shown[-1024:]) / 1024, 4))
print("final loss", sum(shown[-1024:]) / 1024)
