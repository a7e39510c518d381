"""Trains a complex diagonal state-space layer with poles just inside the unit circle over 120 steps on a delayed-recall signal."""
import math
import torch
import torch.nn as nn

torch.manual_seed(10)
T, N = 120, 48
nu = nn.Parameter(torch.full((N,), math.log(0.004)))
th = nn.Parameter(torch.rand(N) * math.pi)
B = nn.Parameter(torch.randn(N, 2) / N ** 0.5)
head = nn.Sequential(nn.Linear(2 * N + 1, 48), nn.GELU(), nn.Linear(48, 1))
ps = [nu, th, B, *head.parameters()]
opt = torch.optim.Adam(ps, 4e-3)
tail = []
k = torch.arange(T).float()
for step in range(400):
    f = 0.1 + 0.3 * torch.rand(32, 1)
    u = torch.sin(f * k + 6.28 * torch.rand(32, 1)) + 0.05 * torch.randn(32, T)
    y = torch.roll(u, 3, 1)
    r = torch.exp(-nu.exp()[:, None] * k)
    ker = torch.stack([r * torch.cos(th[:, None] * k), r * torch.sin(th[:, None] * k)], 1) * B[:, :, None]
    ker = ker.flatten(0, 1)
    x = torch.fft.irfft(torch.fft.rfft(u, 2 * T)[:, None] * torch.fft.rfft(ker, 2 * T), 2 * T)[..., :T]
    out = head(torch.cat([x, u[:, None]], 1).transpose(1, 2)).squeeze(-1)
    loss = (out - y)[:, 8:].pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if step % 60 == 0:
        print(step, round(loss.item(), 4))
print("final loss", round(sum(tail[-20:]) / 20, 4))
