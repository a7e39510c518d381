"""Housing-style regression with a Lookahead wrapper; a second, noisier data source is added midway; ReduceLROnPlateau walks the rate down."""
import torch
from torch import nn

class Lookahead:
    def __init__(self, base, k=6, alpha=.5):
        self.base, self.k, self.alpha, self.n = base, k, alpha, 0
        self.slow = [[p.detach().clone() for p in g["params"]] for g in base.param_groups]
    def zero_grad(self): self.base.zero_grad()
    def step(self):
        self.base.step(); self.n += 1
        if self.n % self.k == 0:
            with torch.no_grad():
                for g, sl in zip(self.base.param_groups, self.slow):
                    for p, s in zip(g["params"], sl):
                        s.lerp_(p, self.alpha); p.copy_(s)

gen = torch.Generator().manual_seed(37); torch.manual_seed(37)
W = torch.randn(10, 5, generator=gen)
def source_a(n):
    x = torch.randn(n, 10, generator=gen)
    return x, torch.sin(x @ W / 2).sum(1) + .1 * torch.randn(n, generator=gen)
def source_b(n):                      # other agency: shifted covariates, heavier noise, other offset
    x = 1.5 * torch.randn(n, 10, generator=gen) + .7
    return x, torch.sin(x @ W / 2).sum(1) + 1.0 + .4 * torch.randn(n, generator=gen)
def with_flag(x, f): return torch.cat([x, torch.full((len(x), 1), float(f))], 1)

net = nn.Sequential(nn.Linear(11, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1))
adam = torch.optim.Adam(net.parameters(), lr=2e-3); opt = Lookahead(adam)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, factor=.4, patience=6, threshold=5e-3, min_lr=1e-7)
va, vb = source_a(1000), source_b(1000)
log = []
for step in range(26000):
    both = step >= 9000
    if step == 9000: print("-- adding source b"); plateau.best = float("inf"); adam.param_groups[0]["lr"] = 2e-3
    x, y = source_a(24 if not both else 12); x = with_flag(x, 0)
    if both:
        xb, yb = source_b(12); x = torch.cat([x, with_flag(xb, 1)]); y = torch.cat([y, yb])
    loss = nn.functional.mse_loss(net(x).squeeze(1), y)
    opt.zero_grad(); loss.backward(); opt.step()
    log.append(loss.item())
    if step % 200 == 199:
        with torch.no_grad():
            v = nn.functional.mse_loss(net(with_flag(va[0], 0)).squeeze(1), va[1])
            if both: v = (v + nn.functional.mse_loss(net(with_flag(vb[0], 1)).squeeze(1), vb[1])) / 2
        plateau.step(v.item())
        if step % 2000 == 1999: print(f"step {step+1} train {sum(log[-500:])/500:.4f} valid {v:.4f} lr {adam.param_groups[0]['lr']:.1e}")
print(f"final loss {sum(log[-1000:])/1000:.4f}")
