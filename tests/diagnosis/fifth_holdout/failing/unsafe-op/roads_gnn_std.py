"""Message passing on random road graphs (index_add, mean and spread of the neighbours), predicts congestion.

Cause: unsafe-op
Fails: mse falls from 0.26 to about 0.15, then NaN from step 12 on (the gradient of step 11 already is).
"""
import torch
from torch import nn


def road_graph(gen, n=60):
    pos = torch.rand(n, 2, generator=gen)
    dist = torch.cdist(pos, pos)
    src, dst = ((dist < 0.27) & (dist > 0)).nonzero(as_tuple=True)
    deg = torch.zeros(n).index_add(0, dst, torch.ones(len(dst)))
    keep = deg[dst] > 1
    lone = (deg <= 1).nonzero().flatten()
    src, dst = torch.cat([src[keep], lone, lone]), torch.cat([dst[keep], lone, (lone + 1) % n])
    flow = torch.randn(n, 3, generator=gen)
    load = flow[:, 0] + 0.5 * flow[:, 1]
    cnt = torch.zeros(n).index_add(0, dst, torch.ones(len(dst))).clamp(min=1)
    mean = torch.zeros(n).index_add(0, dst, load[src]) / cnt
    return flow, src, dst, cnt, torch.tanh(mean) + 0.5 * torch.relu(flow[:, 2])


class Conv(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.msg = nn.Linear(a, b)
        self.upd = nn.Linear(a + 2 * b, b)

    def forward(self, h, src, dst, cnt):
        m = self.msg(h)[src]
        zero = h.new_zeros(h.shape[0], m.shape[1])
        mean = zero.index_add(0, dst, m) / cnt[:, None]
        dev = (m - mean[dst]) ** 2
        spread = torch.sqrt(zero.index_add(0, dst, dev) / cnt[:, None])  # fix: spread = torch.sqrt(zero.index_add(0, dst, dev) / cnt[:, None] + 1e-5)
        return torch.relu(self.upd(torch.cat([h, mean, spread], 1)))


class RoadNet(nn.Module):
    def __init__(self, hid=32):
        super().__init__()
        self.convs = nn.ModuleList([Conv(3, hid), Conv(hid, hid)])
        self.out = nn.Linear(hid, 1)

    def forward(self, h, *graph):
        for c in self.convs:
            h = c(h, *graph)
        return self.out(h).squeeze(-1)


def main():
    gen = torch.Generator().manual_seed(31)
    torch.manual_seed(31)
    net = RoadNet()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 700)
    seen = []
    for it in range(700):
        flow, src, dst, cnt, y = road_graph(gen)
        loss = (net(flow, src, dst, cnt) - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        seen.append(loss.item())
        if it % 60 == 0:
            print("it", it, "loss", seen[-1])
    print("final loss", sum(seen[-50:]) / 50)


main()
