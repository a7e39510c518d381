"""Predict the radius of gyration like label of small point clouds with a distance-based message passing net.

Cause: unsafe-op
Fails: the distance of an atom to itself is sqrt(0), whose derivative is inf times 0 = nan once coordinates are updated by the net; the first step makes all weights nan
"""
import torch
import torch.nn as nn


class EGNNLayer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.edge = nn.Sequential(nn.Linear(2 * d + 1, d), nn.SiLU(), nn.Linear(d, d), nn.SiLU())
        self.coord = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, 1, bias=False))
        self.node = nn.Sequential(nn.Linear(2 * d, d), nn.SiLU(), nn.Linear(d, d))

    def forward(self, h, x):
        n = h.shape[1]
        diff = x[:, :, None] - x[:, None]
        dist = (diff ** 2).sum(-1, keepdim=True).sqrt()  # fix: dist = ((diff ** 2).sum(-1, keepdim=True) + 1e-8).sqrt()
        hi = h[:, :, None].expand(-1, -1, n, -1)
        hj = h[:, None].expand(-1, n, -1, -1)
        m = self.edge(torch.cat([hi, hj, dist], -1))
        m = m * (1 - torch.eye(n))[None, :, :, None]
        x = x + 0.1 * (diff * torch.tanh(self.coord(m))).mean(2)
        return h + self.node(torch.cat([h, m.mean(2)], -1)), x


class Net(nn.Module):
    def __init__(self, types=3, d=32, layers=2):
        super().__init__()
        self.emb = nn.Embedding(types, d)
        self.layers = nn.ModuleList(EGNNLayer(d) for _ in range(layers))
        self.out = nn.Sequential(nn.Linear(d, d), nn.SiLU(), nn.Linear(d, 1))

    def forward(self, z, x):
        h = self.emb(z)
        for l in self.layers:
            h, x = l(h, x)
        return self.out(h.mean(1)).squeeze(-1)


def molecules(n, gen):
    z = torch.randint(3, (n, 8), generator=gen)
    x = torch.randn(n, 8, 3, generator=gen) * (0.5 + torch.rand(n, 1, 1, generator=gen))
    mass = torch.tensor([1.0, 2.0, 3.0])[z]
    c = (mass[..., None] * x).sum(1, keepdim=True) / mass.sum(1)[:, None, None]
    y = ((mass * ((x - c) ** 2).sum(-1)).sum(1) / mass.sum(1)).sqrt()
    return z, x, (y - 1.6) / 0.5


def main():
    torch.manual_seed(14)
    gen = torch.Generator().manual_seed(14)
    z, x, y = molecules(2000, gen)
    zv, xv, yv = molecules(400, gen)
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(6):
        for b in torch.randperm(2000).split(32):
            loss = (net(z[b], x[b]) - y[b]).pow(2).mean()
            opt.zero_grad(); loss.backward(); opt.step()
        with torch.no_grad():
            val = (net(zv, xv) - yv).pow(2).mean().item()
        print("epoch", epoch, "train", loss.item(), "val", val)
    print("final loss", val)


main()
