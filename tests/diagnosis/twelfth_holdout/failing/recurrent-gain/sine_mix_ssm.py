"""Linear state-space layers (diagonal, real) for telling which of several tones a long signal contains.

Cause: recurrent-gain
Fails: final accuracy 0 (with the fix 1)
"""
import torch
from torch import nn

torch.manual_seed(66)


class DiagSSM(nn.Module):
    """x' = A x + B u ; zero-order hold; y = C x + D u."""

    def __init__(self, d_model, n_state):
        super().__init__()
        self.re = nn.Parameter(torch.linspace(0.02, 0.4, n_state).repeat(d_model, 1))
        self.im = nn.Parameter(torch.linspace(0, 3.0, n_state).repeat(d_model, 1))
        self.B = nn.Parameter(torch.randn(d_model, n_state, 2) * n_state ** -0.5)
        self.C = nn.Parameter(torch.randn(d_model, n_state, 2) * n_state ** -0.5)
        self.D = nn.Parameter(torch.ones(d_model))
        self.log_dt = nn.Parameter(torch.zeros(d_model, 1))

    def kernel(self, L):
        re = self.re  # fix: re = -self.re.abs()
        a = torch.complex(re, self.im) * self.log_dt.exp()
        t = torch.arange(L, dtype=torch.float32)
        powers = torch.exp(a.unsqueeze(-1) * t)
        bc = torch.view_as_complex(self.B) * torch.view_as_complex(self.C)
        return (bc.unsqueeze(-1) * powers).sum(1).real

    def forward(self, u):
        L = u.size(-1)
        k = self.kernel(L)
        f = torch.fft.rfft(u, 2 * L) * torch.fft.rfft(k, 2 * L)
        return torch.fft.irfft(f, 2 * L)[..., :L] + self.D[:, None] * u


class Model(nn.Module):
    def __init__(self, d=16, n=12, classes=6):
        super().__init__()
        self.inp = nn.Linear(1, d)
        self.s1, self.s2 = DiagSSM(d, n), DiagSSM(d, n)
        self.m1 = nn.Linear(d, d)
        self.out = nn.Linear(d, classes)

    def forward(self, x):
        u = self.inp(x.unsqueeze(-1)).transpose(1, 2)
        u = u + torch.nn.functional.gelu(self.m1(self.s1(u).transpose(1, 2))).transpose(1, 2)
        u = self.s2(u)
        return self.out(torch.log1p(u.pow(2).mean(-1)))


FREQ = torch.tensor([0.2, 0.5, 0.9, 1.4, 1.9, 2.6])


def tones(n, L=128):
    y = torch.randint(len(FREQ), (n,))
    t = torch.arange(L).float()
    ph = 6.28 * torch.rand(n, 1)
    return torch.sin(FREQ[y][:, None] * t + ph) + 0.5 * torch.randn(n, L), y


model = Model()
slow = [p for n, p in model.named_parameters() if n.split(".")[-1] in ("re", "im", "log_dt")]
fast = [p for n, p in model.named_parameters() if n.split(".")[-1] not in ("re", "im", "log_dt")]
opt = torch.optim.AdamW([{"params": slow, "lr": 5e-4, "weight_decay": 0.0}, {"params": fast, "lr": 5e-3}])
for it in range(220):
    x, y = tones(32)
    loss = nn.functional.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 40 == 0:
        print("it", it, "loss", loss.item())
with torch.no_grad():
    x, y = tones(600)
    z = model(x)
print("final accuracy", round((z.argmax(1) == y).float().mean().item() if z.isfinite().all() else 0.0, 4))
