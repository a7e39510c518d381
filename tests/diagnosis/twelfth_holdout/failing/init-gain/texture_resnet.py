"""Deep norm-free residual network on synthetic textures.

Cause: init-gain
Fails: final accuracy 0 (with the fix 1)
"""
import torch
import torch.nn as nn

torch.manual_seed(91)
BLOCKS = 22
ALPHA = 1.0  # fix: ALPHA = BLOCKS ** -0.5


class ResBlock(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv1 = nn.Conv2d(ch, ch, 3, padding=1)
        self.conv2 = nn.Conv2d(ch, ch, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x):
        return x + ALPHA * self.conv2(self.act(self.conv1(self.act(x))))


class Net(nn.Module):
    def __init__(self, ch=8, classes=4):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        self.body = nn.Sequential(*(ResBlock(ch) for _ in range(BLOCKS)))
        self.fc = nn.Linear(ch, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


def textures(n, s=9):
    y = torch.randint(4, (n,))
    u = torch.arange(s).float()
    ph = 6.28 * torch.rand(n, 1, 1)
    a, b = u.view(1, s, 1), u.view(1, 1, s)
    pats = torch.stack([torch.sin(1.6 * a + ph).expand(n, s, s), torch.sin(1.6 * b + ph).expand(n, s, s),
                        torch.sin(1.1 * (a + b) + ph), torch.sin(1.6 * a + ph) * torch.sin(1.6 * b + ph) * 1.4], 1)
    x = pats[torch.arange(n), y] + 0.3 * torch.randn(n, s, s)
    return x[:, None], y


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.02, total_steps=110, pct_start=0.2)
crit = nn.CrossEntropyLoss()
for i in range(110):
    x, y = textures(24)
    out = net(x)
    loss = crit(out, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if i % 20 == 0:
        print(f"{i:4d} loss {loss.item():.4g}")
with torch.no_grad():
    x, y = textures(400)
    out = net(x)
    acc = (out.argmax(1) == y).float().mean().item() if torch.isfinite(out).all() else 0.0
print(f"final accuracy {acc:.4f}")
