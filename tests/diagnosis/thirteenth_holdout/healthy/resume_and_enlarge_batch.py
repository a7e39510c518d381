"""Load model saved half-way, resumed with optimizer and scheduler state, then trained with larger batches."""
import io
import torch
from torch import nn


def make(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(24, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 4))
    opt = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.05)
    sch = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=500)
    return net, opt, sch


def profile(n, g):
    a = torch.randn(n, 1, generator=g)
    b = torch.rand(n, 1, generator=g) * 6.28
    t = torch.arange(28) * 6.28 / 24
    s = (1 + 0.3 * a) * torch.sin(t + b) + 0.3 * torch.sin(2 * t + b) + 0.05 * torch.randn(n, 28, generator=g)
    return s[:, :24], s[:, 24:]


def train(bundle, g, lo, hi, bs):
    net, opt, sch = bundle
    net.train()
    for k in range(lo, hi):
        x, y = profile(bs, g)
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sch.step()
        if k % 50 == 0:
            print(k, "bs", bs, "mse", loss.item())


g = torch.Generator().manual_seed(1)
first = make()
train(first, g, 0, 250, 16)
buf = io.BytesIO()
torch.save([o.state_dict() for o in first], buf)
buf.seek(0)
second = make(seed=1)
for o, s in zip(second, torch.load(buf)):
    o.load_state_dict(s)
train(second, g, 250, 500, 128)
second[0].eval()
x, y = profile(1000, g)
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(second[0](x), y).item())
