"""Molecule-like graphs: message passing with mean and standard-deviation aggregation (PNA style) by index_add.

Cause: unsafe-op
Fails: the loss is not finite from backward call 1 on (counted from 0, of 250); the final value is nan
"""
import torch
import torch.nn as nn


def scatter_mean(src, index, n):
    out = src.new_zeros(n, src.shape[1]).index_add(0, index, src)
    deg = src.new_zeros(n).index_add(0, index, src.new_ones(len(src))).clamp(min=1)
    return out / deg[:, None]


class PNAConv(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.msg = nn.Linear(2 * d, d)
        self.upd = nn.Sequential(nn.Linear(3 * d, d), nn.SiLU(), nn.Linear(d, d))

    def forward(self, h, edge):
        src, dst = edge
        m = torch.nn.functional.silu(self.msg(torch.cat([h[src], h[dst]], -1)))
        mu = scatter_mean(m, dst, len(h))
        var = (scatter_mean(m * m, dst, len(h)) - mu * mu).clamp(min=0)
        std = var.sqrt()  # fix: std = (var + 1e-5).sqrt()
        return h + self.upd(torch.cat([h, mu, std], -1))


class GraphNet(nn.Module):
    def __init__(self, n_atom=6, d=24, layers=3):
        super().__init__()
        self.embed = nn.Embedding(n_atom, d)
        self.convs = nn.ModuleList(PNAConv(d) for _ in range(layers))
        self.head = nn.Linear(d, 1)

    def forward(self, z, edge, batch, n_graphs):
        h = self.embed(z)
        for conv in self.convs:
            h = conv(h, edge)
        return scatter_mean(self.head(h), batch, n_graphs).squeeze(-1)


def sample_graphs(k, g):
    zs, es, bs, ys, off = [], [], [], [], 0
    charge = torch.tensor([0.1, -0.4, 0.5, -0.2, 0.8, -0.6])
    for b in range(k):
        n = int(torch.randint(5, 10, (1,), generator=g))
        z = torch.randint(0, 6, (n,), generator=g)
        parent = torch.tensor([int(torch.randint(0, i, (1,), generator=g)) for i in range(1, n)])
        child = torch.arange(1, n)
        ys.append(2 * (charge[z[parent]] * charge[z[child]]).mean() + charge[z].mean())
        es.append(torch.stack([torch.cat([parent, child]), torch.cat([child, parent])]) + off)
        zs.append(z)
        bs.append(torch.full((n,), b))
        off += n
    return torch.cat(zs), torch.cat(es, 1), torch.cat(bs), 4 * torch.stack(ys)


torch.manual_seed(9)
gen = torch.Generator().manual_seed(10)
net = GraphNet()
optim = torch.optim.AdamW(net.parameters(), lr=3e-3)
recent = []
for step in range(250):
    z, e, b, y = sample_graphs(16, gen)
    loss = nn.functional.mse_loss(net(z, e, b, 16), y)
    optim.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    optim.step()
    recent.append(loss.item())
    if step % 50 == 0:
        print(step, recent[-1])
print("final loss", sum(recent[-25:]) / 25)
