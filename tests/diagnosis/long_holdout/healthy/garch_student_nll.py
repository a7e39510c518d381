"""GRU volatility model for daily returns: Student-t negative log likelihood, regime-switching heavy-tailed data."""
import numpy as np, torch
from torch import nn
from torch.distributions import StudentT
torch.manual_seed(99); g = np.random.default_rng(99)

N = 40000
state = 0; sig = .008; r = np.zeros(N)
for i in range(1, N):
    if g.random() < (.002 if state == 0 else .012): state = 1 - state      # calm / crisis
    base = 2e-6 if state == 0 else 3e-5
    sig = np.sqrt(base + .08 * r[i-1]**2 + .88 * sig**2)
    sig = min(sig, .15)
    r[i] = sig * g.standard_t(4) / np.sqrt(2)
r = torch.tensor(r * 100, dtype=torch.float32)                             # percent
x = torch.stack([r, r.abs(), torch.log(r**2 + .01)], -1)
SPLIT = 34000

class Vol(nn.Module):
    def __init__(s):
        super().__init__()
        s.g = nn.GRU(3, 24, batch_first=True); s.o = nn.Linear(24, 3)
    def forward(s, x):
        mu, ls, nu = s.o(s.g(x / torch.tensor([5., 5., 3.]))[0]).unbind(-1)
        return StudentT(2.05 + nn.functional.softplus(nu + 1), mu, .05 + nn.functional.softplus(ls))

net = Vol()
opt = torch.optim.RMSprop(net.parameters(), lr=7e-4, alpha=.98)
B, L = 8, 40
hist = []
for step in range(7000):
    s = torch.from_numpy(g.integers(0, SPLIT - L - 1, B))
    idx = s[:, None] + torch.arange(L)
    loss = -net(x[idx]).log_prob(r[idx + 1]).mean()
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.)
    opt.step()
    hist.append(loss.item())
    if step in (3500, 5500):
        for gr in opt.param_groups: gr["lr"] *= .3
    if step % 500 == 0:
        with torch.no_grad():
            v = -net(x[None, SPLIT:-1]).log_prob(r[None, SPLIT+1:]).mean().item()
        print(f"step {step:5d} train nll {np.mean(hist[-300:]):.4f} held-out {v:.4f}")
print(f"final loss {np.mean(hist[-1000:]):.4f}")
