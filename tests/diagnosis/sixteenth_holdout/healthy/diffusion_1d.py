"""Denoising diffusion of 1-D mixtures; epsilon loss flattens early and stays noisy, which is right."""
import torch
import torch.nn as nn

torch.manual_seed(20)
beta = torch.linspace(1e-4, 0.05, 100)
abar = (1 - beta).cumprod(0)
net = nn.Sequential(nn.Linear(17, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 1))
fr = 2.0 ** torch.arange(8)
emb = lambda t: torch.cat([torch.sin(t[:, None] / 100 * fr), torch.cos(t[:, None] / 100 * fr)], 1)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 3000)
rec = []
for it in range(3000):
    x = torch.where(torch.rand(256, 1) < 0.4, -2.0, 1.5) + 0.02 * torch.randn(256, 1)
    t = torch.randint(0, 100, (256,))
    e = torch.randn_like(x)
    xt = abar[t].sqrt()[:, None] * x + (1 - abar[t]).sqrt()[:, None] * e
    loss = (net(torch.cat([xt, emb(t.float())], 1)) - e).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sch.step()
    rec.append(loss.item())
    if it % 300 == 0:
        print(f"{it} eps-mse {loss.item():.4f}")
print(f"final loss {sum(rec[-200:]) / 200:.4f}")
