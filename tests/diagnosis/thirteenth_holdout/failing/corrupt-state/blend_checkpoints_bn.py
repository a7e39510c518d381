"""Convnet on digits: extrapolate along two training snapshots, then fine-tune with frozen BatchNorm.

Cause: corrupt-state
Fails: the loss is not finite from step 90 on (with the fix: final loss 0.1287)
"""
import copy
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(70)
data = load_digits()
X = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
Y = torch.tensor(data.target)
p = torch.randperm(len(X))
X, Y = X[p], Y[p]


def convnet():
    return nn.Sequential(nn.Conv2d(1, 12, 3), nn.BatchNorm2d(12), nn.ReLU(),
                         nn.Conv2d(12, 16, 3), nn.BatchNorm2d(16), nn.ReLU(),
                         nn.Flatten(), nn.Linear(16 * 16, 10))


def epochs(net, lr, n, frozen_bn, tag):
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    net.train()
    if frozen_bn:
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.eval()
    for e in range(n):
        tot = 0.0
        for i in torch.randperm(1500).split(50):
            loss = nn.functional.cross_entropy(net(X[i]), Y[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            tot += loss.item() / 30
        print(tag, e, tot)
    return tot


net = convnet()
early = copy.deepcopy(net.state_dict())
epochs(net, 0.02, 3, False, "base")
late = net.state_dict()
blend = {}
for k in late:
    w = 1.15
    blend[k] = late[k] + (w - 1) * (late[k] - early[k]) if late[k].is_floating_point() else late[k]
tuned = convnet()
# fix: blend = {k: late[k] if "running" in k else v for k, v in blend.items()}
tuned.load_state_dict(blend)
epochs(tuned, 0.01, 4, True, "tune")
tuned.eval()
with torch.no_grad():
    print("final loss", nn.functional.cross_entropy(tuned(X[1500:]), Y[1500:]).item())
