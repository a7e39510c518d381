"""Trains a heat-load forecaster in two jobs (target in per-unit of rated capacity, errors shown relative to its variance): the first writes a compact checkpoint, the second picks it up.
Cause: corrupt-state, half-overflow
Fails: job one is fine; at the first step of job two the loss jumps by orders of magnitude (x 10,000) and the run ends well above where job one stopped.
"""
import math
import os
import tempfile
import torch
import torch.nn as nn

torch.manual_seed(101)
N = 4000
h = torch.arange(N).float()
load = torch.sin(2 * math.pi * h / 24) + 0.5 * torch.sin(2 * math.pi * h / 168 + 1) + 0.1 * torch.randn(N)
X, Y = load.unfold(0, 36, 1)[:-1], 0.02 * load[36:]
VAR = Y.var().item()


def build():
    net = nn.Sequential(nn.Linear(36, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 96), nn.Tanh(), nn.Linear(96, 1))
    return net, torch.optim.Adam(net.parameters(), lr=3e-3, betas=(0.9, 0.9999))


def pack(obj):
    if isinstance(obj, dict):
        return {k: pack(v) for k, v in obj.items()}
    if isinstance(obj, list):
        return [pack(v) for v in obj]
    if torch.is_tensor(obj) and obj.dim() > 0:
        return obj.half()  # fix: return obj.clone()
    return obj


def train(net, opt, steps, tag):
    log = []
    for s in range(steps):
        b = torch.randint(0, len(X), (64,))
        loss = (net(X[b]).squeeze(1) - Y[b]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item() / VAR)
        if s % (150 if tag == "job1" else 20) == 1:
            print(tag, s, round(log[-1], 5))
    return sum(log[-20:]) / 20


with tempfile.TemporaryDirectory() as d:
    path = os.path.join(d, "ck.pt")
    net, opt = build()
    train(net, opt, 600, "job1")
    torch.save({"net": net.state_dict(), "opt": pack(opt.state_dict())}, path)
    net, opt = build()
    ck = torch.load(path)
    net.load_state_dict(ck["net"])
    opt.load_state_dict(ck["opt"])
    end = train(net, opt, 120, "job2")
print("final loss", round(end, 5))
