"""A GRU forecaster of volatility on returns with Student-t tails, with clipping and a robust loss.

Looks nasty: batches with crashes give losses and gradients far above the rest; clipping deals with them.
"""
import torch
import torch.nn as nn

torch.manual_seed(13)


def garch(n=64, T=40):
    var, out, vs = torch.full((n,), 1.0), [], []
    var = var * (torch.rand(n) * 8 + 0.2)
    for _ in range(T):
        e = torch.distributions.StudentT(2.5).sample((n,))
        r = var.sqrt() * e
        out.append(r)
        var = (0.02 + 0.12 * r.pow(2).clamp(max=400) + 0.86 * var)
        vs.append(var)
    return torch.stack(out, 1), torch.stack(vs, 1)


class Vol(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, r):
        return self.head(self.gru(r[..., None])[0])[..., 0]


net = Vol()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
hist = []
for it in range(350):
    r, v = garch()
    loss = nn.functional.smooth_l1_loss(net(torch.asinh(r)), v.log() * 2)
    opt.zero_grad()
    loss.backward()
    gn = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if it % 35 == 0:
        print(f"it {it} loss {loss.item():.4f} grad {gn.item():.3f}")
print("final loss", sum(hist[-40:]) / 40)
