"""Low-rank adapters on a frozen pretrained MLP; starts near its optimum with zero-initialised B, so the first gradients of A are exactly zero."""
import torch
from torch import nn


class LoRA(nn.Module):
    def __init__(self, base, r=4, alpha=8.0):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(r, base.in_features) / base.in_features ** 0.5)
        self.B = nn.Parameter(torch.zeros(base.out_features, r))
        self.s = alpha / r

    def forward(self, x):
        return self.base(x) + self.s * (x @ self.A.T) @ self.B.T


def net():
    return nn.Sequential(nn.Linear(12, 96), nn.GELU(), nn.Linear(96, 96), nn.GELU(), nn.Linear(96, 3))


def task(n, shift):
    x = torch.randn(n, 12)
    y = torch.stack([x[:, 0] * x[:, 1], torch.sin(x[:, 2] + shift), x[:, 3:6].sum(1) * (0.5 + shift)], 1)
    return x, y


def fit(model, steps, lr, shift):
    opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr)
    h = []
    for i in range(steps):
        x, y = task(128, shift)
        loss = nn.functional.mse_loss(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        h.append(loss.item())
        if i % 100 == 0:
            print(i, round(h[-1], 5))
    return sum(h[-20:]) / 20


torch.manual_seed(30)
m = net()
print("pretrain", fit(m, 800, 3e-3, 0.0))
for i in (0, 2, 4):
    m[i] = LoRA(m[i])
print("final loss", fit(m, 500, 3e-3, 0.4))
