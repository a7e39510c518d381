"""A small fully convolutional net that segments bright discs in noisy images.

Cause: loss-scale
Fails: the per-pixel loss is nan within the first epoch
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
SIZE = 24


def scenes(n):
    ax = torch.arange(SIZE).float()
    cx, cy, r = (torch.rand(n, 1, 1) * 16 + 4), (torch.rand(n, 1, 1) * 16 + 4), torch.rand(n, 1, 1) * 4 + 2
    m = ((ax[None, None] - cx) ** 2 + (ax[None, :, None] - cy) ** 2 < r ** 2).float()
    img = m * 0.8 + 0.4 * torch.randn(n, SIZE, SIZE)
    return img[:, None], m[:, None]


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(inplace=True))


net = nn.Sequential(conv(1, 8), conv(8, 16), conv(16, 8), nn.Conv2d(8, 1, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
images, masks = scenes(512)

for epoch in range(10):
    order = torch.randperm(len(images))
    seen, per_pixel = 0, 0.0
    for idx in order.chunk(32):
        out = net(images[idx])
        loss = F.binary_cross_entropy_with_logits(out, masks[idx], reduction="sum")  # fix: loss = F.binary_cross_entropy_with_logits(out, masks[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            px = F.binary_cross_entropy_with_logits(out, masks[idx]).item()
        if seen == 0 and epoch == 0:
            print(f"first per-pixel loss {px:.4f}")
        seen += 1
        per_pixel += px
    print(f"epoch {epoch} per-pixel loss {per_pixel / seen:.4f}")
print("final loss", per_pixel / seen)
