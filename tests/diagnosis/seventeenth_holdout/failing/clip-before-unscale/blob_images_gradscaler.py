"""Trains a convnet that counts blobs in small images, with the CPU GradScaler and gradient clipping.
Cause: clip-before-unscale
Fails: the loss stays at its first value throughout.
"""
import torch
import torch.nn as nn

torch.manual_seed(97)
yy, xx = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")


def make(n):
    k = torch.randint(0, 5, (n,))
    img = 0.05 * torch.randn(n, 1, 16, 16)
    for i in range(n):
        for _ in range(int(k[i])):
            r, c = (2 + 12 * torch.rand(2)).tolist()
            img[i, 0] += torch.exp(-((yy - r) ** 2 + (xx - c) ** 2) / 2)
    return img, k


X, Y = make(1000)
net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(96, 5))
opt = torch.optim.SGD(net.parameters(), lr=0.08, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16, growth_interval=200)
for epoch in range(12):
    tot = 0.0
    for b in torch.randperm(len(X)).split(50):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(X[b])
        loss = nn.functional.cross_entropy(out.float(), Y[b])
        opt.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)  # fix: scaler.unscale_(opt); nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
        tot += loss.item() * len(b)
    if epoch % 2 == 0:
        print("epoch", epoch, round(tot / len(X), 4))
print("final loss", round(tot / len(X), 4))
