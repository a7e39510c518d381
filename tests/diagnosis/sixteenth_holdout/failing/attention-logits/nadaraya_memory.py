"""Memory regression: attend over stored (position, value) pairs, interpolate at a query position.

Cause: attention-logits
Fails: the key width enters the scores as a factor, not as a divisor; attention is one-hot from the
start, its gradients vanish and the error stays at about five times the proper one.
"""
import torch
from torch import nn


class MemoryRegressor(nn.Module):
    def __init__(self, d=64, freqs=24):
        super().__init__()
        self.register_buffer("w", torch.randn(2, freqs) * 1.5)
        self.q, self.k = nn.Linear(2 * freqs, d), nn.Linear(2 * freqs, d)
        self.d = d

    def feat(self, p):
        a = p @ self.w
        return torch.cat([a.sin(), a.cos()], -1)

    def forward(self, mem_p, mem_v, qp):
        q, k = self.q(self.feat(qp)), self.k(self.feat(mem_p))
        scores = torch.einsum("bqd,bmd->bqm", q, k)
        att = (scores * self.d ** 1.5).softmax(-1)  # fix: att = (scores * self.d ** -0.5).softmax(-1)
        return (att @ mem_v[..., None]).squeeze(-1)


def field(p, c):
    return torch.sin(2 * p[..., 0] + c[:, :1]) + torch.cos(2 * p[..., 1] + c[:, 1:])


def main(steps=900, bs=32):
    torch.manual_seed(95)
    net = MemoryRegressor()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    out = []
    for it in range(steps):
        c = torch.rand(bs, 2) * 6.28
        mp, qp = torch.rand(bs, 80, 2) * 4 - 2, torch.rand(bs, 16, 2) * 4 - 2
        loss = (net(mp, field(mp, c), qp) - field(qp, c)).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        out.append(loss.item())
        if it % 90 == 0:
            print(f"it {it} mse {loss.item():.4f}")
    print(f"final loss {sum(out[-40:]) / 40:.5f}")


if __name__ == "__main__":
    main()
