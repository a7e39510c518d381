"""Surface-defect classifier for 24x24 grey crops (plain VGG-like stack, no norm layers for the FPGA export).

Cause: init-gain
Fails: the loss is not finite from backward call 3 on (counted from 0, of 160); the final value is nan
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


@dataclass
class Cfg:
    width: int = 20
    depth: int = 8
    epochs: int = 5
    batch: int = 32
    lr: float = 0.02
    seed: int = 11


class Crops(Dataset):
    KINDS = ("scratch", "pit", "stain", "ok")

    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 4, (n,), generator=g)
        self.x = 0.35 * torch.randn(n, 1, 24, 24, generator=g)
        for i, k in enumerate(self.y.tolist()):
            r, c = torch.randint(4, 18, (2,), generator=g).tolist()
            if k == 0:
                self.x[i, 0, r, 2:22] += 2.0
            elif k == 1:
                self.x[i, 0, r:r + 3, c:c + 3] -= 2.5
            elif k == 2:
                self.x[i, 0, r - 3:r + 5, c - 3:c + 5] += 1.2

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class PlainStack(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        layers, cin = [], 1
        for d in range(cfg.depth):
            layers += [nn.Conv2d(cin, cfg.width, 3, padding=1), nn.ReLU()]
            cin = cfg.width
            if d in (2, 5):
                layers.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(cfg.width, len(Crops.KINDS))
        self.body.apply(self.he_init)

    @staticmethod
    def he_init(m):
        if isinstance(m, nn.Conv2d):
            fan_in = m.weight.shape[1]  # fix: fan_in = m.weight[0].numel()
            nn.init.normal_(m.weight, std=math.sqrt(2.0 / fan_in))
            nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.head(self.body(x).amax((2, 3)))


@torch.no_grad()
def validate(model, loader):
    model.eval()
    tot = sum(F.cross_entropy(model(x), y, reduction="sum").item() for x, y in loader)
    model.train()
    return tot / len(loader.dataset)


def main(cfg=Cfg()):
    torch.manual_seed(cfg.seed)
    train = DataLoader(Crops(1024, 1), cfg.batch, shuffle=True, drop_last=True)
    val = DataLoader(Crops(256, 2), 128)
    net = PlainStack(cfg)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.9)
    total = cfg.epochs * len(train)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 20) * 0.5 * (1 + math.cos(math.pi * s / total)))
    for ep in range(cfg.epochs):
        for x, y in train:
            loss = F.cross_entropy(net(x), y)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
        print(f"epoch {ep} train {loss.item():.4f} val {validate(net, val):.4f}")
    print("final loss", validate(net, val))


if __name__ == "__main__":
    main()
