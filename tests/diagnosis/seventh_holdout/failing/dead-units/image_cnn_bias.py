"""Small CNN on drawn shapes (16x16), ReLU, cosine schedule.

Cause: dead-units
Fails: the custom init fills conv and hidden biases with -4 instead of a small number, hardly any ReLU ever fires; the loss stays at ln 3 = 1.099
"""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(5)
torch.manual_seed(5)


def draw(kind):
    im = np.zeros((16, 16), np.float32)
    cx, cy, r = rng.integers(5, 11), rng.integers(5, 11), rng.integers(2, 5)
    yy, xx = np.mgrid[:16, :16]
    if kind == 0:
        im[((xx - cx) ** 2 + (yy - cy) ** 2) <= r * r] = 1
    elif kind == 1:
        im[(abs(xx - cx) <= r) & (abs(yy - cy) <= 1)] = 1
    else:
        im[abs((xx - cx)) + abs((yy - cy)) == r] = 1
    return im + 0.2 * rng.standard_normal((16, 16)).astype(np.float32)


labels = rng.integers(0, 3, 3000)
images = torch.tensor(np.stack([draw(k) for k in labels])).unsqueeze(1)
images = (images - images.mean()) / images.std()
labels = torch.tensor(labels)

net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(24 * 16, 64), nn.ReLU(), nn.Linear(64, 3))


def weights_init(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(m.weight)
        if m.out_features != 3 if isinstance(m, nn.Linear) else True:
            m.bias.data.fill_(-4.0)  # fix: m.bias.data.fill_(0.01)


net.apply(weights_init)
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
EPOCHS = 8
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
lossf = nn.CrossEntropyLoss()
for ep in range(EPOCHS):
    tot = 0
    for idx in torch.randperm(2600).split(40):
        opt.zero_grad()
        loss = lossf(net(images[idx]), labels[idx])
        loss.backward()
        opt.step()
        tot += loss.item() * len(idx)
    sched.step()
    with torch.no_grad():
        out = net(images[2600:])
        print("epoch %d train %.4f test %.4f acc %.3f" % (ep, tot / 2600, lossf(out, labels[2600:]), (out.argmax(1) == labels[2600:]).float().mean()))
print("final loss", float(lossf(net(images[2600:]), labels[2600:])))
