"""Batch-norm residual conv net with one-cycle up to a high peak rate."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(13)


class Res(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.na, self.nb = nn.BatchNorm2d(c), nn.BatchNorm2d(c)

    def forward(self, x):
        return F.relu(x + self.nb(self.b(F.relu(self.na(self.a(x))))))


net = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1), Res(16), Res(16), Res(16), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 6))
tpl = torch.randn(6, 1, 12, 12)
y = torch.randint(0, 6, (1800,))
x = torch.roll(tpl[y], 1, 3) + 0.9 * torch.randn(1800, 1, 12, 12)
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
sch = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.8, total_steps=8 * 36)
for ep in range(8):
    s = 0.0
    for b in torch.randperm(1800).split(50):
        loss = F.cross_entropy(net(x[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sch.step()
        s += loss.item() / 36
    print(f"epoch {ep} lr {sch.get_last_lr()[0]:.4f} loss {s:.4f}")
print(f"final loss {s:.5f}")
