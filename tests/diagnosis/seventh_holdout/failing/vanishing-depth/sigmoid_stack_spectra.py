"""Classify made-up spectra with a 9-layer sigmoid network.

Cause: vanishing-depth
Fails: the sigmoid's slope of at most 1/4 per layer kills the gradient on the way down; the loss stays at ln 5 = 1.609
"""
import torch
import torch.nn as nn

ACT = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class Args:
    depth = 9
    width = 64
    act = "sigmoid"  # fix: act = "relu"
    lr = 0.05
    momentum = 0.9
    epochs = 10
    batch = 50


def spectra(n, seed):
    g = torch.Generator().manual_seed(seed)
    wl = torch.linspace(0, 1, 80)
    y = torch.randint(5, (n,), generator=g)
    c = 0.2 + 0.15 * y.float() + 0.03 * torch.randn(n, generator=g)
    x = torch.exp(-((wl[None] - c[:, None]) / 0.05) ** 2)
    x = x + 0.6 * torch.exp(-((wl[None] - torch.rand(n, 1, generator=g)) / 0.1) ** 2)
    x = x + 0.1 * torch.randn(n, 80, generator=g)
    return (x - x.mean()) / x.std(), y


def build(a):
    layers, d = [], 80
    for _ in range(a.depth):
        layers += [nn.Linear(d, a.width), ACT[a.act]()]
        d = a.width
    net = nn.Sequential(*layers, nn.Linear(d, 5))
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    return net


def main():
    torch.manual_seed(10)
    a = Args()
    X, y = spectra(4000, 0)
    Xt, yt = spectra(1000, 1)
    net = build(a)
    opt = torch.optim.SGD(net.parameters(), lr=a.lr, momentum=a.momentum)
    ce = nn.CrossEntropyLoss()
    for e in range(a.epochs):
        for b in torch.randperm(len(X)).split(a.batch):
            loss = ce(net(X[b]), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
        with torch.no_grad():
            test = ce(net(Xt), yt).item()
            acc = (net(Xt).argmax(1) == yt).float().mean().item()
        g0 = net[0].weight.grad.norm().item()
        print(f"epoch {e}: test {test:.4f} acc {acc:.3f} grad[0] {g0:.2e}")
    print("final loss", test)


main()
