"""Gas turbine emission model: trained on last year's data, then stored and fine-tuned on this year's with frozen batch norm.

Cause: corrupt-state
Fails: the loss is not finite from step 472 on (the second phase begins at step 470)
"""
import io
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(58)
rng = np.random.default_rng(58)


def records(n, shift=0.0):
    temp = rng.normal(290 + shift, 8, n)
    pressure = rng.normal(101.3, 0.8, n)
    rpm = rng.normal(3000, 25, n)
    fuel = rng.normal(14, 1.5, n)
    humid = rng.uniform(20, 95, n)
    nox = 60 + 3.5 * (fuel - 14) - 0.5 * (temp - 290) + 0.08 * (rpm - 3000) + 2 * (pressure - 101.3) - 0.1 * (humid - 57) + 0.3 * (fuel - 14) ** 2
    y = (nox - 60) / 8 + rng.normal(0, 0.15, n)
    return torch.tensor(np.c_[temp, pressure, rpm, fuel, humid], dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


class Emission(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.scale = nn.BatchNorm1d(5, affine=False)
        self.f1, self.n1 = nn.Linear(5, h), nn.BatchNorm1d(h)
        self.f2 = nn.Linear(h, h)
        self.out = nn.Linear(h, 1)

    def forward(self, x):
        z = F.relu(self.n1(self.f1(self.scale(x))))
        return self.out(F.relu(self.f2(z))).squeeze(-1)


def epochs(net, x, y, opt, n, log):
    for _ in range(n):
        for b in torch.randperm(len(x)).split(64):
            loss = F.mse_loss(net(x[b]), y[b])
            opt.zero_grad()
            loss.backward()
            opt.step()
            log.append(loss.item())
        print("mse", float(np.mean(log[-20:])))


def store(net):
    buf = io.BytesIO()
    torch.save({k: p.detach() for k, p in net.named_parameters()}, buf)  # fix: torch.save(net.state_dict(), buf)
    return buf.getvalue()


log = []
net = Emission()
epochs(net, *records(6000), torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), 5, log)

tuned = Emission()
tuned.load_state_dict(torch.load(io.BytesIO(store(net))), strict=False)
tuned.eval()
epochs(tuned, *records(6000, shift=3.0), torch.optim.SGD(tuned.parameters(), lr=0.01, momentum=0.9), 3, log)
print("final loss", float(np.mean(log[-30:])))
