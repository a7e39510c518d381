"""A eight-hidden-layer net of centred sigmoids for a fresh-sample regression, weights drawn with std 40.

Cause: saturation
Fails: every sigmoid sits at zero or one, the slopes vanish and the loss stays near the target variance
"""
import argparse

import torch
from torch import nn


def get_parser():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--init-std", type=float, default=40.0)  # fix: p.add_argument("--init-std", type=float, default=0.25)
    p.add_argument("--hidden", type=int, default=64)
    p.add_argument("--iters", type=int, default=400)
    p.add_argument("--lr", type=float, default=0.01)
    return p


class SigmoidNet(nn.Module):
    def __init__(self, hidden, std):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8 if k == 0 else hidden, hidden) for k in range(8)])
        self.out = nn.Linear(hidden, 1)
        for lin in self.layers:
            nn.init.normal_(lin.weight, std=std)
            nn.init.zeros_(lin.bias)
        nn.init.zeros_(self.out.weight)

    def forward(self, x):
        for lin in self.layers:
            x = 2 * torch.sigmoid(lin(x)) - 1
        return self.out(x).squeeze(1)


def sample(n):
    x = torch.randn(n, 8)
    return x, torch.tanh(1.5 * x[:, 0] + x[:, 1] - 0.5 * x[:, 2]) * 1.3


def main():
    args = get_parser().parse_args()
    torch.manual_seed(7)
    net = SigmoidNet(args.hidden, args.init_std)
    opt = torch.optim.SGD(net.parameters(), lr=args.lr, momentum=0.5)
    losses = []
    for _ in range(args.iters):
        x, y = sample(64)
        loss = (net(x) - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
