"""Diffusion model for two-moons points; the run is suspended halfway with a compact 8-bit optimizer checkpoint.

Cause: corrupt-state
Fails: the noise-prediction loss explodes at the resumption and never comes back
"""
import io
import math
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(26)
pts, _ = make_moons(4000, noise=0.05, random_state=26)
pts = torch.tensor((pts - pts.mean(0)) / pts.std(0), dtype=torch.float32)
T = 60
betas = torch.linspace(1e-3, 0.12, T)
abar = torch.cumprod(1 - betas, 0)
freqs = torch.exp(torch.linspace(0, math.log(50), 8))


class Eps(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(18, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))

    def forward(self, x, t):
        ang = t.unsqueeze(1) / T * freqs
        return self.net(torch.cat([x, ang.sin(), ang.cos()], 1))


def diffusion_loss(model, n):
    x0 = pts[torch.randint(0, 4000, (n,))]
    t = torch.randint(0, T, (n,))
    e = torch.randn_like(x0)
    a = abar[t].unsqueeze(1)
    return (model(a.sqrt() * x0 + (1 - a).sqrt() * e, t) - e).pow(2).mean()


def pack(opt):
    out = []
    for st in opt.state_dict()["state"].values():
        buf = st["momentum_buffer"]
        scale = buf.abs().max().clamp(min=1e-12) / 127
        out.append(((buf / scale).round().to(torch.int8), scale))
    return out


def unpack(opt, packed):
    sd = opt.state_dict()
    for k, (q, scale) in enumerate(packed):
        sd["state"][k] = {"momentum_buffer": q.float()}  # fix: sd["state"][k] = {"momentum_buffer": q.float() * scale}
    opt.load_state_dict(sd)


def new_optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)


model = Eps()
opt = new_optimizer(model)
for step in range(700):
    if step == 350:
        disk = io.BytesIO()
        torch.save({"model": model.state_dict(), "opt": pack(opt)}, disk)
        disk.seek(0)
        ck = torch.load(disk)
        model = Eps()
        model.load_state_dict(ck["model"])
        opt = new_optimizer(model)
        unpack(opt, ck["opt"])
    loss = diffusion_loss(model, 256)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", diffusion_loss(model, 8000).item())
