"""Diffusion on 2-D rings with a small noise predictor and an AdamW written in-house for fused parameter groups.

Cause: stale-second-moment
Fails: final value 1.257 (with the fix 0.4275); largest backward loss 1.166e+06 at call 1, first 1.028
"""
import math
import torch
from torch import nn


class LeanAdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                st = self.state[p]
                if not st:
                    st["t"], st["m"], st["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                st["t"] += 1
                st["m"].lerp_(p.grad, 1 - b1)
                st["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                m_hat = st["m"] / (1 - b1 ** st["t"])
                v_hat = st["v"]  # fix: v_hat = st["v"] / (1 - b2 ** st["t"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.addcdiv_(m_hat, v_hat.sqrt().add_(group["eps"]), value=-group["lr"])


class Eps(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 + 8, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, x, t):
        f = 2 ** torch.arange(4) * math.pi
        emb = torch.cat([torch.sin(t * f), torch.cos(t * f)], -1)
        return self.net(torch.cat([x, emb], -1))


def rings(n):
    r = torch.where(torch.rand(n) < 0.5, 0.5, 1.5)
    a = 2 * math.pi * torch.rand(n)
    return torch.stack([r * a.cos(), r * a.sin()], 1)


def ddpm_loss(model, x0):
    t = torch.rand(len(x0), 1)
    ab = torch.cos(0.5 * math.pi * t) ** 2
    noise = torch.randn_like(x0)
    return ((model(ab.sqrt() * x0 + (1 - ab).sqrt() * noise, t) - noise) ** 2).mean()


def main():
    torch.manual_seed(40)
    model = Eps()
    opt = LeanAdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.9999), weight_decay=1e-4)
    keep = []
    for step in range(500):
        loss = ddpm_loss(model, rings(256))
        for p in model.parameters():
            p.grad = None
        loss.backward()
        opt.step()
        keep.append(loss.item())
        if step % 100 == 0:
            print(step, keep[-1])
    print("final loss", sum(keep[-50:]) / 50)


main()
