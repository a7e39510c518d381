"""Gradient accumulation, checkpoint and resume in the middle; loss divided properly, state kept whole."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
x = torch.randn(4096, 12)
y = (torch.sin(x[:, :3]).sum(1) > x[:, 3] * x[:, 4]).long()


def make():
    n = nn.Sequential(nn.Linear(12, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 2))
    return n, torch.optim.Adam(n.parameters(), lr=2e-3)


net, opt = make()
for ep in range(24):
    s = 0.0
    for k, b in enumerate(torch.randperm(4096).split(16)):
        loss = F.cross_entropy(net(x[b]), y[b])
        (loss / 4).backward()
        if (k + 1) % 4 == 0:
            opt.step()
            opt.zero_grad()
        s += loss.item() / 256
    if ep % 3 == 0:
        print(f"epoch {ep} loss {s:.4f}")
    if ep == 11:
        ck = copy.deepcopy({"m": net.state_dict(), "o": opt.state_dict()})
        net, opt = make()
        net.load_state_dict(ck["m"])
        opt.load_state_dict(ck["o"])
        print("resumed")
print(f"final loss {s:.5f}")
