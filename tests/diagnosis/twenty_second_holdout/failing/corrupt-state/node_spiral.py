"""Neural ODE (fixed-step RK4) fits a damped nonlinear spiral; the Adam state is swapped out to a compact host copy between steps.

Cause: corrupt-state
"""
import copy
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(17)

A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])


def rk4(f, y, dt, n):
    ys = [y]
    for _ in range(n):
        k1 = f(y)
        k2 = f(y + dt / 2 * k1)
        k3 = f(y + dt / 2 * k2)
        k4 = f(y + dt * k3)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        ys.append(y)
    return torch.stack(ys, 1)


with torch.no_grad():
    truth = rk4(lambda y: (y ** 3) @ A.T, torch.tensor([[2.0, 0.0]]), 0.025, 600)[0]

func = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 2))
for m in func:
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=0.1)
        nn.init.zeros_(m.bias)
opt = torch.optim.Adam(func.parameters(), lr=4e-3)


def swap_out(o):
    """host copy of the optimizer state (the device is shared with other jobs)"""
    sd = o.state_dict()
    sd = {"state": {k: dict(v) for k, v in sd["state"].items()}, "param_groups": copy.deepcopy(sd["param_groups"])}
    for st in sd["state"].values():
        for key in ("exp_avg", "exp_avg_sq"):
            st[key] = st[key].half()  # fix: st[key] = st[key].clone()
    return sd


def swap_in(o, sd):
    o.load_state_dict(sd)
    for st in o.state.values():
        for key in ("exp_avg", "exp_avg_sq"):
            st[key] = st[key].float()


hist = []
for it in range(600):
    if it:
        host = swap_out(opt)
        swap_in(opt, host)
    i = torch.randint(0, 580, (32,))
    path = rk4(lambda y: func(y ** 3), truth[i], 0.025, 10)
    want = torch.stack([truth[i + k] for k in range(11)], 1)
    loss = ((path - want).square().sum(-1) * 0.025).mean(1).mean() / 10
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if it % 50 == 0:
        print("iter", it, "integrated error", hist[-1])
print("final loss", sum(hist[-20:]) / 20)
