"""Physics-informed net for a damped oscillator ODE: Adam, then a stretch of L-BFGS with line search, then Adam polish at a tiny rate."""
import math, torch
from torch import nn
torch.manual_seed(19); torch.set_default_dtype(torch.float64)
w0, zeta = 4.0, .12
wd = w0 * math.sqrt(1 - zeta**2)
exact = lambda t: torch.exp(-zeta*w0*t) * (torch.cos(wd*t) + zeta*w0/wd*torch.sin(wd*t))
net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
t = torch.linspace(0, 3, 100)[:, None].requires_grad_(True)

def u(t): return 1 + t**2 * net(t / 1.5 - 1)              # hard initial conditions u(0)=1, u'(0)=0
def residual():
    x = u(t)
    d1, = torch.autograd.grad(x.sum(), t, create_graph=True)
    d2, = torch.autograd.grad(d1.sum(), t, create_graph=True)
    return ((d2 + 2*zeta*w0*d1 + w0**2*x)**2).mean()

hist = []
def run_adam(n, lr, tag, decay=1.):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    sch = torch.optim.lr_scheduler.ExponentialLR(opt, decay)
    for i in range(n):
        loss = residual(); opt.zero_grad(); loss.backward(); opt.step(); sch.step()
        hist.append(loss.item())
        if i % 1000 == 0: print(tag, i, f"{loss.item():.3e}")

run_adam(7000, 3e-3, "adam", .9996)
lb = torch.optim.LBFGS(net.parameters(), lr=1., max_iter=4, history_size=30, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=1e-15)
def closure():
    lb.zero_grad(); l = residual(); l.backward(); return l
for i in range(800):
    hist.append(float(lb.step(closure)))
    if i % 200 == 0: print("lbfgs", i, f"{hist[-1]:.3e}")
run_adam(2500, 1e-6, "polish")
with torch.no_grad(): print("max abs error vs exact", (u(t) - exact(t)).abs().max().item())
print(f"final loss {sum(hist[-200:])/200:.3e}")
