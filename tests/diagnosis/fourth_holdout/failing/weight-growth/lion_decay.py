"""An MLP denoiser on digits, trained with a home-made Lion optimizer.

Cause: weight-growth
Fails: learns to 0.024 by step 600, then the weights take over; the loss ends at 1e10
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.optim import Optimizer


class Lion(Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            lr, wd = group["lr"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["m"] = torch.zeros_like(p)
                m = state["m"]
                p.mul_(1 + lr * wd)  # fix: p.mul_(1 - lr * wd)
                p.sub_((m * b1 + p.grad * (1 - b1)).sign_(), alpha=lr)
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


torch.manual_seed(6)
digits = torch.tensor(load_digits().data, dtype=torch.float32) / 16
net = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 96), nn.ReLU(), nn.Linear(96, 64))
opt = Lion(net.parameters(), lr=1e-3, weight_decay=2.0)
vals = []
for it in range(3000):
    x = digits[torch.randint(0, len(digits), (64,))]
    loss = nn.functional.mse_loss(net(x + 0.2 * torch.randn_like(x)), x)
    net.zero_grad()
    loss.backward()
    opt.step()
    vals.append(loss.item())
    if it % 300 == 0:
        w = sum(p.pow(2).sum() for p in net.parameters()).sqrt().item()
        print(f"it {it} loss {loss.item():.4g} |w| {w:.4g}")
print("final loss", sum(vals[-50:]) / 50)
