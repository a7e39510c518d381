"""Quantisation-aware fine-tuning of a converged image regressor with staged unfreezing; starts near its floor and jumps when fake-quant is switched on.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(70)


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, s):
        return torch.round(x / s).clamp(-7, 7) * s

    @staticmethod
    def backward(ctx, g):
        return g, None


class QLinear(nn.Linear):
    on = False

    def forward(self, x):
        w = Round.apply(self.weight, self.weight.detach().abs().max() / 7) if QLinear.on else self.weight
        return F.linear(x, w, self.bias)


def data(n):
    a = 3.14159 * torch.rand(n, 1)
    g = torch.linspace(-2, 2, 8)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    im = torch.tanh(2 * (a.cos() * xx.flatten() + a.sin() * yy.flatten())) + 0.1 * torch.randn(n, 64)
    return im, torch.cat([(2 * a).cos(), (2 * a).sin()], 1)


net = nn.Sequential(QLinear(64, 64), nn.ReLU(), QLinear(64, 64), nn.ReLU(), QLinear(64, 2))


def fit(params, lr, steps, tag):
    opt = torch.optim.Adam(params, lr=lr)
    rec = []
    for i in range(steps):
        x, y = data(128)
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        rec.append(loss.item())
        if i % 150 == 0:
            print(tag, i, f"{rec[-1]:.5f}")
    return sum(rec[-50:]) / 50


fit(net.parameters(), 2e-3, 900, "float")
QLinear.on = True
for p in net[:4].parameters():
    p.requires_grad_(False)
fit([p for p in net.parameters() if p.requires_grad], 1e-3, 400, "head")
for p in net.parameters():
    p.requires_grad_(True)
print("final loss", fit(net.parameters(), 5e-4, 900, "all"))
