"""A convolutional net on the digits is trained on with BatchNorm frozen after statistics of two workers were merged.

Cause: corrupt-state
Fails: the merge leaves the running variances near zero, the frozen norms multiply the signal by hundreds and the loss explodes
"""
import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(19)
d = load_digits()
X = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
Y = torch.tensor(d.target)


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


net = nn.Sequential(conv(1, 16), conv(16, 16), nn.MaxPool2d(2), conv(16, 32), conv(32, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)


def merge_workers(module):
    """Average of the statistics of the workers: E[var] + var[mean]."""
    for bn in module.modules():
        if isinstance(bn, nn.BatchNorm2d):
            means = torch.stack([bn.running_mean, bn.running_mean.clone()])
            vars_ = torch.stack([bn.running_var, bn.running_var.clone()])
            bn.running_mean.copy_(means.mean(0))
            bn.running_var.copy_(means.var(0, unbiased=False))  # fix: bn.running_var.copy_(vars_.mean(0) + means.var(0, unbiased=False))


log = []
for epoch in range(8):
    net.train()
    if epoch == 4:
        merge_workers(net)
        opt.param_groups[0]["lr"] = 0.003
    if epoch >= 4:
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.eval()
    for b in torch.randperm(len(X)).split(64):
        loss = nn.functional.cross_entropy(net(X[b]), Y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())
    print(epoch, sum(log[-28:]) / 28)
print("final loss", sum(log[-28:]) / 28)
