"""Sharpness-aware minimisation (two-step loop) on tabular data with 25% label noise: cross-entropy settles on its noise floor."""
import math
import torch
from torch import nn

class SAM:
    """ascent to w + rho g/|g|, then base step from the original point"""
    def __init__(self, params, base, rho=.05):
        self.params = list(params); self.base = base; self.rho = rho; self.saved = None
    @torch.no_grad()
    def ascend(self):
        n = torch.norm(torch.stack([p.grad.norm() for p in self.params])) + 1e-12
        self.saved = [p.grad * (self.rho / n) for p in self.params]
        for p, e in zip(self.params, self.saved): p.add_(e)
        self.base.zero_grad()
    @torch.no_grad()
    def descend(self):
        for p, e in zip(self.params, self.saved): p.sub_(e)
        self.base.step(); self.base.zero_grad()

def sampler(gen, noise=.25, d=12, classes=4):
    W = torch.randn(d, classes, generator=gen) * 1.5
    def draw(n):
        x = torch.randn(n, d, generator=gen)
        y = (x @ W + torch.sin(2 * x) @ W.flip(0)).argmax(1)
        flip = torch.rand(n, generator=gen) < noise
        y = torch.where(flip, torch.randint(classes, (n,), generator=gen), y)
        return x, y
    return draw

if __name__ == "__main__":
    torch.manual_seed(31)
    draw = sampler(torch.Generator().manual_seed(31))
    net = nn.Sequential(nn.Linear(12, 96), nn.SiLU(), nn.Linear(96, 48), nn.SiLU(), nn.Linear(48, 4))
    base = torch.optim.SGD(net.parameters(), lr=.05, momentum=.9)
    sam = SAM(net.parameters(), base)
    steps, ema, late = 11000, None, []
    for i in range(steps):
        for g in base.param_groups: g["lr"] = .001 + .025 * (1 + math.cos(math.pi * i / steps))
        x, y = draw(48)
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward(); sam.ascend()
        nn.functional.cross_entropy(net(x), y).backward(); sam.descend()
        ema = loss.item() if ema is None else .995 * ema + .005 * loss.item()
        if i % 1500 == 0: print(f"step {i} loss(ema) {ema:.4f}")
        if i >= steps - 1000: late.append(loss.item())
    print(f"final loss {sum(late)/len(late):.4f}")
