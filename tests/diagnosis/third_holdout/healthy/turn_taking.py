"""One trunk, three tasks that take turns step by step: classes, a regression of values up to ten and a reconstruction."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(55)
trunk = nn.Sequential(nn.Linear(12, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU())
heads = nn.ModuleDict({"kind": nn.Linear(64, 4), "amount": nn.Linear(64, 1), "copy": nn.Linear(64, 12)})
A = torch.randn(12, 4)
v = torch.randn(12)


def task_kind(x):
    y = (x @ A + 0.3 * torch.randn(len(x), 4)).argmax(1)
    y = torch.where(torch.rand(len(x)) < 0.2, torch.randint(0, 4, (len(x),)), y)
    return F.cross_entropy(heads["kind"](trunk(x)), y)


def task_amount(x):
    y = 10 * torch.tanh(x @ v)
    return F.mse_loss(heads["amount"](trunk(x))[:, 0], y)


def task_copy(x):
    return 0.001 * F.mse_loss(heads["copy"](trunk(x)), x)


tasks = [task_kind, task_amount, task_copy]
opt = torch.optim.Adam([*trunk.parameters(), *heads.parameters()], lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
last = {}
for step in range(1800):
    fn = tasks[step % 3]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = fn(torch.randn(64, 12))
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
    last[fn.__name__] = loss.item()
print(last)
print("final loss", sum(last.values()))
