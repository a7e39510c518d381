"""A one-dimensional Fourier neural operator learns the map from u(x,0) to u(x,0.5) of viscous Burgers.

Cause: init-gain
"""
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)
torch.set_num_threads(1)


def burgers(u0, nu=0.05, T=0.5, n=200):
    """pseudo-spectral, semi-implicit Euler on [0, 2pi)"""
    N = u0.shape[-1]
    k = np.fft.rfftfreq(N, 1 / N)
    v = np.fft.rfft(u0)
    dt = T / n
    for _ in range(n):
        u = np.fft.irfft(v, N)
        v = (v - dt * 0.5j * k * np.fft.rfft(u * u)) / (1 + dt * nu * k ** 2)
    return np.fft.irfft(v, N)


rs = np.random.RandomState(1)
M, N = 400, 64
xg = np.linspace(0, 2 * np.pi, N, endpoint=False)
u0 = np.zeros((M, N))
for k in range(1, 5):
    u0 += rs.randn(M, 1) / k * np.sin(k * xg) + rs.randn(M, 1) / k * np.cos(k * xg)
u1 = burgers(u0)
A = torch.tensor(u0, dtype=torch.float32)
Y = torch.tensor(u1, dtype=torch.float32)
GRID = torch.tensor(xg / (2 * np.pi), dtype=torch.float32)


class SpectralConv(nn.Module):
    def __init__(self, cin, cout, modes):
        super().__init__()
        self.modes = modes
        scale = 1 / math.sqrt(cin / cout)  # fix: scale = 1 / (cin * cout)
        self.weight = nn.Parameter(scale * torch.randn(cin, cout, modes, dtype=torch.cfloat))

    def forward(self, x):
        xf = torch.fft.rfft(x)
        of = torch.zeros(x.shape[0], self.weight.shape[1], xf.shape[-1], dtype=torch.cfloat)
        of[..., :self.modes] = torch.einsum("bim,iom->bom", xf[..., :self.modes], self.weight)
        return torch.fft.irfft(of, n=x.shape[-1])


class FNO(nn.Module):
    def __init__(self, width=20, modes=12, depth=8):
        super().__init__()
        self.lift = nn.Linear(2, width)
        self.spec = nn.ModuleList([SpectralConv(width, width, modes) for _ in range(depth)])
        self.loc = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(depth)])
        self.proj = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 1))

    def forward(self, a):
        x = torch.stack([a, GRID.expand_as(a)], -1)
        x = self.lift(x).transpose(1, 2)
        for i, (s, l) in enumerate(zip(self.spec, self.loc)):
            x = s(x) + l(x)
            if i < len(self.spec) - 1:
                x = F.gelu(x)
        return self.proj(x.transpose(1, 2)).squeeze(-1)


fno = FNO()
opt = torch.optim.Adam(fno.parameters(), lr=1e-3)
sch = torch.optim.lr_scheduler.StepLR(opt, 120, 0.5)
rec = []
for it in range(350):
    j = torch.randint(0, M, (16,))
    out = fno(A[j])
    rel = ((out - Y[j]).norm(dim=1) / Y[j].norm(dim=1)).mean()
    opt.zero_grad()
    rel.backward()
    opt.step()
    sch.step()
    rec.append(rel.item())
    if it % 50 == 0:
        print("it", it, "rel L2", rec[-1])
print("final loss", sum(rec[-20:]) / 20)
