"""Contrastive learning (InfoNCE) with a home-made LARS optimizer."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Optimizer


class LARS(Optimizer):
    """Layer-wise adaptive rates (You et al., 2017)."""

    def __init__(self, params, lr=1.0, momentum=0.9, trust=0.02):
        super().__init__(params, {"lr": lr, "momentum": momentum, "trust": trust})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                norm_w, norm_g = p.norm(), p.grad.norm()
                local = group["trust"] * norm_w / norm_g if norm_w > 0 and norm_g > 0 else 1.0
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.mul_(group["momentum"]).add_(p.grad * local, alpha=group["lr"])
                p.sub_(buffer)


def info_nce(a, b, temperature=0.1):
    logits = F.normalize(a, dim=1) @ F.normalize(b, dim=1).t() / temperature
    return F.cross_entropy(logits, torch.arange(len(a)))


torch.manual_seed(8)
encoder = nn.Sequential(nn.Linear(30, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 16))
optimizer = LARS(encoder.parameters())
data = torch.randn(2000, 30)
curve = []
for _ in range(400):
    batch = data[torch.randint(0, 2000, (64,))]
    view1, view2 = (batch + 0.5 * torch.randn_like(batch) for _ in range(2))
    loss = info_nce(encoder(view1), encoder(view2))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
print("final loss", sum(curve[-40:]) / 40)
