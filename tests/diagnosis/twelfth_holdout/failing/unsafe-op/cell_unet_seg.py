"""U-Net for round cells on a noisy background.

Cause: unsafe-op
Fails: final IoU 0 (with the fix 0.9871)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)


def double(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
                         nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.d1, self.d2, self.d3 = double(1, c), double(c, 2 * c), double(2 * c, 4 * c)
        self.u2 = nn.ConvTranspose2d(4 * c, 2 * c, 2, stride=2)
        self.e2 = double(4 * c, 2 * c)
        self.u1 = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.e1 = double(2 * c, c)
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.d1(x)
        b = self.d2(F.max_pool2d(a, 2))
        z = self.d3(F.max_pool2d(b, 2))
        z = self.e2(torch.cat([self.u2(z), b], 1))
        z = self.e1(torch.cat([self.u1(z), a], 1))
        return self.out(z)


def focal_bce(logit, target, gamma=2.0):
    p = torch.sigmoid(logit)
    lp, lq = torch.log(p), torch.log(1 - p)  # fix: lp, lq = F.logsigmoid(logit), F.logsigmoid(-logit)
    pos = -target * (1 - p) ** gamma * lp
    neg = -(1 - target) * p ** gamma * lq
    return (pos + neg).mean()


def dice(logit, t):
    p = torch.sigmoid(logit)
    return 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)


def cells(n, s=24):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    img, msk = torch.zeros(n, s, s), torch.zeros(n, s, s)
    for k in range(n):
        for _ in range(int(torch.randint(1, 4, (1,)))):
            cy, cx = torch.rand(2) * s
            r = 2.5 + 2.5 * torch.rand(1)
            d = ((yy - cy) ** 2 + (xx - cx) ** 2).sqrt()
            msk[k][d < r] = 1
    img = msk * 40 + 8 * torch.randn(n, s, s) + 20
    img[torch.rand(n, s, s) < 0.01] = 255.0
    return ((img - 27) / 18)[:, None], msk[:, None]


net = UNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-2)
for it in range(150):
    x, t = cells(8)
    z = net(x)
    loss = focal_bce(8 * z, t) + dice(z, t)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 25 == 0:
        print(f"it {it} loss {loss.item():.4f}")
net.eval()
with torch.no_grad():
    x, t = cells(60)
    p = (net(x) > 0).float()
    iou = (p * t).sum() / torch.clamp(p + t, max=1).sum()
print(f"final IoU {iou.item():.4f}")
