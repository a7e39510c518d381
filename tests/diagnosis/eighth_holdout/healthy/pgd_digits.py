"""Adversarially trained conv net (PGD attack that gets stronger every epoch), so the training loss climbs between epochs.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(20)
proto = (torch.rand(8, 1, 5, 5) > 0.5).float()


def sample(n):
    y = torch.randint(0, 8, (n,))
    big = F.interpolate(proto[y], scale_factor=2)
    x = F.pad(big, (1, 1, 1, 1))
    sh = torch.randint(-1, 2, (2,))
    return (x.roll((int(sh[0]), int(sh[1])), (2, 3)) + 0.1 * torch.randn(n, 1, 12, 12)), y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 12, 3, padding=1), nn.Conv2d(12, 24, 3, stride=2, padding=1)
        self.fc = nn.Linear(24 * 36, 8)

    def forward(self, x):
        return self.fc(F.relu(self.c2(F.relu(self.c1(x)))).flatten(1))


def attack(net, x, y, eps, k=3):
    d = torch.zeros_like(x).uniform_(-eps, eps)
    for _ in range(k):
        d.requires_grad_(True)
        g, = torch.autograd.grad(F.cross_entropy(net(x + d), y), d)
        d = (d.detach() + eps / 2 * g.sign()).clamp(-eps, eps)
    return x + d


net = Net()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
for ep, eps in enumerate([0.02, 0.06, 0.1, 0.14, 0.14]):
    run = []
    for _ in range(70):
        x, y = sample(48)
        loss = F.cross_entropy(net(attack(net, x, y, eps)), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        run.append(loss.item())
    print(f"epoch {ep} eps {eps} first {sum(run[:5]) / 5:.4f} last {sum(run[-10:]) / 10:.4f}")
print("final loss", sum(run[-20:]) / 20)
