"""InfoNCE between two noisy views of the same item, low temperature, momentum encoder."""
import copy

import torch
import torch.nn.functional as F
from torch import nn


def encoder():
    return nn.Sequential(nn.Linear(40, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))


@torch.no_grad()
def follow(slow, fast, m):
    for a, b in zip(slow.parameters(), fast.parameters()):
        a.mul_(m).add_(b, alpha=1 - m)


def views(items, idx):
    base = items[idx]
    make = lambda: (base + 0.7 * torch.randn_like(base)) * (torch.rand_like(base) > 0.2)
    return make(), make()


def main():
    torch.manual_seed(44)
    items = torch.randn(500, 10) @ torch.randn(10, 40) / 10 ** 0.5
    online = encoder()
    target = copy.deepcopy(online).requires_grad_(False)
    opt = torch.optim.SGD(online.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    rec = []
    for step in range(1200):
        a, b = views(items, torch.randperm(500)[:64])
        q = F.normalize(online(a), dim=1)
        with torch.no_grad():
            k = F.normalize(target(b), dim=1)
        loss = F.cross_entropy(q @ k.T / 0.1, torch.arange(64))
        opt.zero_grad()
        loss.backward()
        opt.step()
        follow(target, online, 0.98)
        rec.append(loss.item())
        if step % 200 == 0:
            print(step, rec[-1])
    print("final loss", sum(rec[-50:]) / 50)


main()
