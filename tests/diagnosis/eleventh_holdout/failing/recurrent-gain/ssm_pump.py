"""Diagonal state-space model predicting bearing temperature of a pump from 96 steps of vibration.

Cause: recurrent-gain
Fails: the loss is not finite from backward call 0 on (counted from 0, of 150); the final value is nan
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class S4DLite(nn.Module):
    """h_t = a h_{t-1} + dt B u_t,  y_t = C h_t + D u_t with a learned diagonal a."""

    def __init__(self, d_model, n_state=8, dt_min=0.02, dt_max=0.3):
        super().__init__()
        rates = torch.arange(1, n_state + 1).float().repeat(d_model, 1)
        self.log_rate = nn.Parameter(rates.log())
        u = torch.rand(d_model, 1)
        self.log_dt = nn.Parameter(math.log(dt_min) + u * (math.log(dt_max) - math.log(dt_min)))
        self.B = nn.Parameter(torch.ones(d_model, n_state))
        self.C = nn.Parameter(torch.randn(d_model, n_state) / n_state ** 0.5)
        self.D = nn.Parameter(torch.ones(d_model))

    def forward(self, u):
        dt = self.log_dt.exp()
        a = torch.exp(self.log_rate.exp() * dt)  # fix: a = torch.exp(-self.log_rate.exp() * dt)
        h = u.new_zeros(u.shape[0], *self.B.shape)
        out = []
        for t in range(u.shape[1]):
            h = a * h + (dt * self.B) * u[:, t, :, None]
            out.append((h * self.C).sum(-1) + self.D * u[:, t])
        return torch.stack(out, 1)


class PumpNet(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.enc = nn.Linear(2, d)
        self.ssm = S4DLite(d)
        self.mix = nn.Linear(d, d)
        self.head = nn.Linear(d, 1)

    def forward(self, x):
        h = self.enc(x)
        h = h + self.mix(F.gelu(self.ssm(h)))
        return self.head(h[:, -1]).squeeze(-1)


def simulate(n, T, g):
    x = torch.randn(n, T, 2, generator=g)
    temp = torch.zeros(n)
    for t in range(T):
        temp = 0.9 * temp + 0.1 * (2 * x[:, t, 0] + x[:, t, 1] * x[:, t, 0])
    return x, 3 * temp


def run():
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(8)
    X, Y = simulate(512, 96, g)
    Xv, Yv = simulate(128, 96, g)
    net = PumpNet()
    groups = [
        {"params": [p for n, p in net.named_parameters() if n.startswith("ssm.log")], "lr": 1e-3},
        {"params": [p for n, p in net.named_parameters() if not n.startswith("ssm.log")], "lr": 5e-3},
    ]
    opt = torch.optim.Adam(groups)
    for step in range(150):
        idx = torch.randint(0, 512, (48,), generator=g)
        loss = F.mse_loss(net(X[idx]), Y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 30 == 0:
            print(f"{step:4d} {loss.item():.4f}")
    with torch.no_grad():
        print("final loss", F.mse_loss(net(Xv), Yv).item())


run()
