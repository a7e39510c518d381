"""Real-valued flow (affine couplings) on a thin banana; the negative log-likelihood is below zero."""
import math
import torch
import torch.nn as nn

torch.manual_seed(3)


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 2))

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        s, t = self.net(a).chunk(2, 1)
        s = 4 * torch.tanh(s / 4)
        b = (b - t) * torch.exp(-s)
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), -s.sum(1)


flow = nn.ModuleList(Coupling(i % 2 == 1) for i in range(6))
opt = torch.optim.Adam(flow.parameters(), lr=1e-3)
sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 1500)
h = []
for it in range(1500):
    u = torch.randn(256, 1) * 0.5
    z = torch.cat([u, u ** 2 + 0.01 * torch.randn(256, 1)], 1)
    ld = 0.0
    for f in flow:
        z, d = f(z)
        ld = ld + d
    nll = (0.5 * z.pow(2).sum(1) + math.log(2 * math.pi) - ld).mean()
    opt.zero_grad()
    nll.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 20.0)
    opt.step()
    sch.step()
    h.append(nll.item())
    if it % 150 == 0:
        print(f"iter {it} nll {nll.item():.3f}")
print(f"final loss {sum(h[-50:]) / 50:.4f}")
