"""Transfer learning on tiny images: backbone frozen, then unfrozen with a fresh head; BatchNorm with batches of 4."""
import torch
import torch.nn as nn
import torch.nn.functional as F


def patterns(n, classes, seed, freq):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=g)
    yy, xx = torch.meshgrid(torch.arange(12.), torch.arange(12.), indexing="ij")
    ang = y.float() * 3.1416 / classes
    ph = torch.rand(n, generator=g) * 6.28
    x = torch.sin(freq * (torch.cos(ang)[:, None, None] * xx + torch.sin(ang)[:, None, None] * yy) + ph[:, None, None])
    return (x + 0.4 * torch.randn(x.shape, generator=g)).unsqueeze(1), y


class Backbone(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def fit(net, X, y, opt, steps, g, tag):
    for s in range(steps):
        i = torch.randint(len(X), (4,), generator=g)
        loss = F.cross_entropy(net(X[i]), y[i])
        opt.zero_grad(); loss.backward(); opt.step()
        if s % 100 == 0:
            print(f"[{tag}] {s} loss {loss.item():.4f}")


def test(net, X, y):
    net.eval()
    with torch.no_grad():
        v = F.cross_entropy(net(X), y).item()
    net.train()
    return v


def main():
    torch.manual_seed(1)
    g = torch.Generator().manual_seed(1)
    A, B, Bv = patterns(1500, 3, 10, 1.0), patterns(1500, 5, 11, 1.2), patterns(400, 5, 12, 1.2)
    body = Backbone()
    src = nn.Sequential(body, nn.Linear(24, 3))
    fit(src, *A, torch.optim.SGD(src.parameters(), lr=0.02, momentum=0.9), 400, g, "pretrain")
    tgt = nn.Sequential(body, nn.Linear(24, 5))
    for p in body.parameters():
        p.requires_grad_(False)
    fit(tgt, *B, torch.optim.SGD(tgt[1].parameters(), lr=0.02, momentum=0.9), 300, g, "head")
    print("val, frozen", test(tgt, *Bv))
    for p in body.parameters():
        p.requires_grad_(True)
    opt = torch.optim.SGD([{"params": body.parameters(), "lr": 0.005}, {"params": tgt[1].parameters(), "lr": 0.01}], momentum=0.9)
    fit(tgt, *B, opt, 600, g, "all")
    print("final loss", test(tgt, *Bv))


main()
