"""Sixty-layer self-normalising MLP on a nonlinear tabular target."""
import torch
from torch import nn

torch.manual_seed(40)
DEPTH, W = 60, 40
body = []
for k in range(DEPTH):
    lin = nn.Linear(8 if k == 0 else W, W)
    nn.init.normal_(lin.weight, std=lin.in_features ** -0.5)
    nn.init.zeros_(lin.bias)
    body += [lin, nn.SELU()]
net = nn.Sequential(*body, nn.Linear(W, 1))
opt = torch.optim.SGD(net.parameters(), lr=2e-3, momentum=0.9)


def f(n):
    x = torch.randn(n, 8)
    return x, torch.tanh(x[:, 0] + x[:, 1]) - x[:, 2].abs() + 0.8


mean = None
for it in range(350):
    x, y = f(64)
    loss = (net(x).squeeze(1) - y).square().mean()
    opt.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    opt.step()
    mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
    if it % 50 == 0:
        print(it, loss.item(), "norm", norm.item())
print("final loss", mean)
