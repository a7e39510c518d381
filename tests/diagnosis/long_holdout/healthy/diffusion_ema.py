"""DDPM-style noise prediction on 2-d spirals with an EMA of the weights; loss is noisy and falls to a high floor."""
import copy, math, torch, torch.nn as nn

class Denoiser(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.register_buffer("freqs", 2 ** torch.arange(6).float())
        self.net = nn.Sequential(nn.Linear(2 + 12, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2))
    def forward(self, x, t):
        a = t[:, None] * self.freqs
        return self.net(torch.cat([x, a.sin(), a.cos()], -1))

class EMA:
    def __init__(self, net, decay): self.shadow = copy.deepcopy(net).requires_grad_(False); self.d = decay
    @torch.no_grad()
    def update(self, net, i):
        d = min(self.d, (1 + i) / (10 + i))
        for s, p in zip(self.shadow.parameters(), net.parameters()): s.mul_(d).add_(p, alpha=1 - d)

def spiral(n):
    t = torch.rand(n).sqrt() * 3 * math.pi
    return torch.stack([t * t.cos(), t * t.sin()], 1) / 5 + .03 * torch.randn(n, 2)

def diffusion_loss(net, x):
    t = torch.rand(len(x)); ab = torch.cos(t * math.pi / 2)[:, None] ** 2
    eps = torch.randn_like(x)
    return ((net(ab.sqrt() * x + (1 - ab).sqrt() * eps, t) - eps) ** 2).mean()

def run(steps=16000, bs=64, lr=1e-3, warm=500):
    torch.manual_seed(55)
    net = Denoiser(); ema = EMA(net, .999)
    opt = torch.optim.RAdam(net.parameters(), lr=lr)
    vx = spiral(4000); recent = []
    for i in range(steps):
        loss = diffusion_loss(net, spiral(bs))
        opt.zero_grad(); loss.backward(); opt.step(); ema.update(net, i)
        recent.append(loss.item())
        if i % 2000 == 0:
            with torch.no_grad(): v = diffusion_loss(ema.shadow, vx).item()
            print(f"{i}: train {sum(recent[-500:])/len(recent[-500:]):.4f} ema {v:.4f}")
    print(f"final loss {sum(recent[-2000:])/2000:.4f}")

run()
