"""Fine-tunes a conv classifier with frozen BatchNorm from a checkpoint with smoothed buffers.

Cause: corrupt-state
Fails: the smoothing of the buffers has a wrong sign, variances are negative and the frozen norms give NaN
"""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(0)
d = load_digits()
x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
y = torch.tensor(d.target)


def convnet():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def epoch(net, opt):
    tot = 0.0
    for i in torch.randperm(len(x)).split(64):
        loss = nn.functional.cross_entropy(net(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(i) / len(x)
    return tot


net = convnet()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
snapshots = []
for e in range(4):
    print("pretrain", e, epoch(net, opt))
    snapshots.append({k: v.clone() for k, v in net.state_dict().items()})

avg = {}
for k in snapshots[-1]:
    a, b = snapshots[-2][k].float(), snapshots[-1][k].float()
    if "running_" in k:
        avg[k] = a - (b - a) * 2  # fix: avg[k] = b
    else:
        avg[k] = b

tuned = convnet()
tuned.load_state_dict(avg)
for m in tuned.modules():
    if isinstance(m, nn.BatchNorm2d):
        m.eval()
opt = torch.optim.SGD(tuned.parameters(), lr=0.005, momentum=0.9)
for e in range(4):
    last = epoch(tuned, opt)
    print("finetune", e, last)
print("final loss", last)
