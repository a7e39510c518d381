"""Trains in two jobs with a full checkpoint (weights, Adam state, schedule); job two starts warm with a restarted higher rate."""
import os
import tempfile
import torch
import torch.nn as nn

torch.manual_seed(8)
N = 3000
h = torch.arange(N).float()
s = torch.sin(h * 0.26) + 0.5 * torch.sin(h * 0.05) + 0.1 * torch.randn(N)
w = s.unfold(0, 33, 1)
mk = lambda: nn.Sequential(nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))


def run(net, opt, sch, n, tag):
    log = []
    for i in range(n):
        b = w[torch.randint(0, len(w), (64,))]
        loss = (net(b[:, :-1]).squeeze(1) - b[:, -1]).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sch.step()
        log.append(loss.item())
        if i % 150 == 0:
            print(tag, i, round(loss.item(), 5))
    return sum(log[-30:]) / 30


with tempfile.TemporaryDirectory() as d:
    net = mk()
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 500)
    run(net, opt, sch, 700, "a")
    f = os.path.join(d, "c.pt")
    torch.save([net.state_dict(), opt.state_dict(), sch.state_dict()], f)
    net = mk()
    opt = torch.optim.Adam(net.parameters(), 2e-3)
    sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 500)
    for o, st in zip((net, opt, sch), torch.load(f)):
        o.load_state_dict(st)
    end = run(net, opt, sch, 790, "b")
print("final loss", round(end, 5))
