"""Trains a plain 14-layer VGG-like network without normalisation on textured patches.

Cause: vanishing-depth
Fails: the loss stays at log(6)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(90)
torch.set_num_threads(1)
NC = 6


def textures(n, g):
    y = torch.randint(0, NC, (n,), generator=g)
    yy, xx = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    ang = y.float() * 3.14159 / NC + 0.1 * torch.randn(n, generator=g)
    ph = 6.28 * torch.rand(n, 1, 1, generator=g)
    x = torch.sin(1.2 * (ang.cos().view(-1, 1, 1) * xx + ang.sin().view(-1, 1, 1) * yy) + ph) + 0.5 * torch.randn(n, 16, 16, generator=g)
    return x.unsqueeze(1), y


def make_layers(cfg):
    layers, c = [], 1
    for v in cfg:
        if v == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(c, v, 3, padding=1), nn.ReLU(inplace=True)]
            c = v
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = make_layers([16, 16, "M", 32, 32, 32, 32, "M", 32, 32, 32, 32, 32, 32])
        self.classifier = nn.Sequential(nn.Linear(32 * 16, 64), nn.ReLU(), nn.Linear(64, NC))
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(m.weight, 0, 0.01)  # fix: nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


g = torch.Generator().manual_seed(6)
X, Y = textures(2400, g)
XV, YV = textures(400, g)
net = VGG()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
for step in range(350):
    i = torch.randint(0, 2400, (24,), generator=g)
    loss = F.cross_entropy(net(X[i]), Y[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 35 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", F.cross_entropy(net(XV), YV).item())
