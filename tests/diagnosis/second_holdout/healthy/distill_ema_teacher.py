"""Mean-teacher training: student on few labels plus consistency with an EMA copy, ramped up."""
import copy
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
d = load_digits()
x, y = torch.tensor(d.data, dtype=torch.float32) / 16, torch.tensor(d.target)
perm = torch.randperm(len(x))
lab, unl = perm[:200], perm[200:]
student = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 10))
teacher = copy.deepcopy(student).requires_grad_(False)
opt = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)


def noisy(v):
    return v + 0.15 * torch.randn_like(v)


sup = []
for step in range(600):
    i, u = lab[torch.randint(200, (32,))], unl[torch.randint(len(unl), (96,))]
    ramp = math.exp(-5 * (1 - min(1, step / 300)) ** 2)
    with torch.no_grad():
        soft = teacher(noisy(x[u])).softmax(-1)
    ce = F.cross_entropy(student(noisy(x[i])), y[i])
    cons = F.mse_loss(student(noisy(x[u])).softmax(-1), soft)
    loss = ce + 20 * ramp * cons
    opt.zero_grad()
    loss.backward()
    opt.step()
    with torch.no_grad():
        for t, s in zip(teacher.parameters(), student.parameters()):
            t.lerp_(s, 0.01 if step > 100 else 0.1)
        for t, s in zip(teacher.buffers(), student.buffers()):
            t.copy_(s)
    sup.append(loss.item())
    if step % 60 == 0:
        print(step, "ce", ce.item(), "cons", cons.item())
acc = (teacher.eval()(x[unl]).argmax(1) == y[unl]).float().mean().item()
print("teacher accuracy", acc)
print("final loss", sum(sup[-30:]) / 30)
