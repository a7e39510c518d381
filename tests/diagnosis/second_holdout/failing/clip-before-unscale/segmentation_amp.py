"""Segments blobs in synthetic images with a small conv net, float16 autocast and GradScaler on the CPU.

Cause: clip-before-unscale
Fails: the scaled gradients are clipped to norm 1 and then divided by 65536; the loss stays where it was
"""
import torch
from torch import nn

torch.manual_seed(0)


def blobs(n, s=20):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    c = torch.rand(n, 2) * (s - 6) + 3
    r = torch.rand(n, 1, 1) * 3 + 2
    mask = ((yy - c[:, 0, None, None]) ** 2 + (xx - c[:, 1, None, None]) ** 2 < r ** 2).float()
    img = mask * 1.0 + 0.4 * torch.randn(n, s, s)
    return img.unsqueeze(1), mask.unsqueeze(1)


class Net(nn.Module):
    def __init__(self, c=12):
        super().__init__()
        self.c1 = nn.Conv2d(1, c, 3, padding=1)
        self.c2 = nn.Conv2d(c, c, 3, padding=2, dilation=2)
        self.c3 = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        return self.c3(torch.relu(self.c2(torch.relu(self.c1(x)))))


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)
bce = nn.BCEWithLogitsLoss()
for it in range(200):
    x, m = blobs(16)
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(x)
    loss = bce(out.float(), m)
    scaler.scale(loss).backward()
    # fix: scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    if it % 25 == 0:
        print(f"iter {it} bce {loss.item():.4f}")
print("final loss", loss.item())
