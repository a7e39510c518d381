"""Distils a wide digits teacher into a small fp16 student with a static loss scale.

Cause: half-overflow
Fails: loss times 2**20 leaves the range of float16 in the backward pass, the weights are NaN after a step
"""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(5)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32).flatten(1) / 16 - 0.3
labels = torch.tensor(digits.target)

teacher = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
t_opt = torch.optim.Adam(teacher.parameters(), lr=3e-3)
for _ in range(80):
    t_opt.zero_grad()
    F.cross_entropy(teacher(images), labels).backward()
    t_opt.step()
teacher.eval().requires_grad_(False)

master = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
student = copy.deepcopy(master).half()
opt = torch.optim.SGD(master.parameters(), lr=0.5, momentum=0.9)
TEMP = 2.0
LOSS_SCALE = 2.0 ** 20  # fix: LOSS_SCALE = 2.0 ** 7

for epoch in range(12):
    total = 0.0
    for idx in torch.randperm(len(images)).split(100):
        x = images[idx]
        soft = F.softmax(teacher(x) / TEMP, dim=-1)
        logits = student(x.half())
        kd = F.kl_div(F.log_softmax(logits.float() / TEMP, -1), soft, reduction="batchmean") * TEMP ** 2
        student.zero_grad()
        (kd * LOSS_SCALE).backward()
        for m, s in zip(master.parameters(), student.parameters()):
            m.grad = s.grad.float() / LOSS_SCALE
        opt.step()
        with torch.no_grad():
            for m, s in zip(master.parameters(), student.parameters()):
                s.copy_(m)
        total += kd.item() * len(idx) / len(images)
    print(f"epoch {epoch} kd {total:.4f}")
print("final loss", total)
