"""Hypernetwork that writes the weights of a small regressor for each sine task.

Cause: init-gain
Fails: generated weights are enormous at the start, loss in
the billions; after 2200 steps it predicts no better than a constant.
"""
import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(77)
H = 32


class HyperNet(nn.Module):
    """context set -> task code -> weights of a 1-H-H-1 network"""

    def __init__(self, code=32):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, code))
        self.sizes = [(H, 1), (H,), (H, H), (H,), (1, H), (1,)]
        self.numel = [int(torch.tensor(s).prod()) for s in self.sizes]
        self.gen = nn.Linear(code, sum(self.numel))
        self.base = nn.Parameter(torch.cat([
            torch.randn(H), torch.randn(H), torch.randn(H * H) * (1 / H) ** 0.5,
            torch.zeros(H), torch.randn(H) * (1 / H) ** 0.5, torch.zeros(1)]))
        nn.init.normal_(self.gen.weight, std=8.0)  # fix: nn.init.normal_(self.gen.weight, std=0.02)
        nn.init.zeros_(self.gen.bias)

    def forward(self, xs, ys, xq):
        code = self.enc(torch.stack([xs, ys], -1)).mean(1)
        flat = self.gen(code) + self.base
        w1, b1, w2, b2, w3, b3 = [p.view(-1, *s) for p, s in zip(flat.split(self.numel, 1), self.sizes)]
        h = F.relu(torch.einsum("bq,bho->bqh", xq, w1) + b1[:, None])
        h = F.relu(torch.einsum("bqh,bkh->bqk", h, w2) + b2[:, None])
        return torch.einsum("bqh,boh->bq", h, w3) + b3


def tasks(n=32, k=10, q=20):
    amp = torch.rand(n, 1) * 1.5 + 0.5
    ph = torch.rand(n, 1) * 3.14
    xs, xq = torch.rand(n, k) * 6 - 3, torch.rand(n, q) * 6 - 3
    return xs, amp * torch.sin(xs + ph), xq, amp * torch.sin(xq + ph)


net = HyperNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
ema = None
for it in range(2200):
    xs, ys, xq, yq = tasks()
    loss = F.mse_loss(net(xs, ys, xq), yq)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 10.0)
    opt.step()
    ema = loss.item() if ema is None else 0.98 * ema + 0.02 * loss.item()
    if it % 200 == 0:
        print(f"it {it:4d} query mse {loss.item():.4f} ema {ema:.4f}")
print(f"final loss {ema:.5f}")
