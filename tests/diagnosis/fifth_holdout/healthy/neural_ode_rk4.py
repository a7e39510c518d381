"""Hand-written neural ODE fitted to Lotka-Volterra trajectories of growing horizon, functional parameters."""
import torch
from torch.func import functional_call, grad_and_value


def true_field(s):
    x, y = s.unbind(-1)
    return torch.stack([1.1 * x - 0.8 * x * y, 0.6 * x * y - 0.9 * y], -1)


def rk4(f, s, dt, n):
    path = [s]
    for _ in range(n):
        k1 = f(s)
        k2 = f(s + dt / 2 * k1)
        k3 = f(s + dt / 2 * k2)
        k4 = f(s + dt * k3)
        s = s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(s)
    return torch.stack(path, 1)


torch.manual_seed(55)
module = torch.nn.Sequential(torch.nn.Linear(2, 48), torch.nn.Tanh(), torch.nn.Linear(48, 2))
params = {k: v.detach().clone() for k, v in module.named_parameters()}
start = 0.5 + 1.5 * torch.rand(256, 2)
truth = rk4(true_field, start, 0.1, 30)


def loss_fn(p, s0, target):
    pred = rk4(lambda s: functional_call(module, p, (s,)), s0, 0.1, target.shape[1] - 1)
    return (pred - target).square().mean()


gradient = grad_and_value(loss_fn)
m = {k: torch.zeros_like(v) for k, v in params.items()}
v2 = {k: torch.zeros_like(v) for k, v in params.items()}
print("before", loss_fn(params, start, truth).item())
for t in range(1, 301):
    horizon = 4 if t <= 120 else 10 if t <= 220 else 18
    pick = torch.randint(0, 256, (32,))
    g, value = gradient(params, start[pick], truth[pick, :horizon + 1])
    norm = sum(x.square().sum() for x in g.values()).sqrt()
    shrink = min(1.0, 1.0 / (norm.item() + 1e-12))
    for k in params:
        gk = g[k] * shrink
        m[k] = 0.9 * m[k] + 0.1 * gk
        v2[k] = 0.99 * v2[k] + 0.01 * gk * gk
        params[k] = params[k] - 0.01 * (m[k] / (1 - 0.9 ** t)) / ((v2[k] / (1 - 0.99 ** t)).sqrt() + 1e-8)
    if t % 30 == 1:
        print(t, "horizon", horizon, "loss", value.item(), "gradient", norm.item())
print("final loss", loss_fn(params, start, truth).item())
