"""Mixture density network for wind power, continued from a checkpoint written by the TensorFlow trainer (Adam slots m and v).

Cause: corrupt-state
Fails: the loss is not finite from backward call 201 on (counted from 0, of 500); the final value is nan
"""
import math
import os
import tempfile
import numpy as np
import torch
from torch import nn


class MDN(nn.Module):
    def __init__(self, k=4, h=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(3, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh())
        self.pi, self.mu, self.ls = nn.Linear(h, k), nn.Linear(h, k), nn.Linear(h, k)

    def nll(self, x, y):
        h = self.trunk(x)
        ls = self.ls(h).clamp(-4, 3)
        comp = -0.5 * ((y[:, None] - self.mu(h)) / ls.exp()) ** 2 - ls - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(self.pi(h).log_softmax(-1) + comp, -1).mean()


def wind(n, g):
    x = torch.randn(n, 3, generator=g)
    power = 2 * torch.sigmoid(2 * x[:, 0]) + 0.5 * torch.sin(2 * x[:, 1])
    curtailed = torch.rand(n, generator=g) < 0.25
    y = torch.where(curtailed, -1 + 0.3 * x[:, 2], power) + 0.08 * torch.randn(n, generator=g)
    return x, y


def export_tf(path, model, opt, step):
    arrays = {"iterations": np.int64(step)}
    for name, p in model.named_parameters():
        key = name.replace(".", "/")
        arrays[key] = p.detach().numpy()
        arrays[key + "/m"] = opt.state[p]["exp_avg"].numpy()
        arrays[key + "/v"] = opt.state[p]["exp_avg_sq"].numpy()
    np.savez(path, **arrays)


def import_tf(path, model, opt):
    z = np.load(path)
    for name, p in model.named_parameters():
        key = name.replace(".", "/")
        p.data.copy_(torch.from_numpy(z[key]))
        slots = [torch.from_numpy(z[k]).clone() for k in sorted(z.files, reverse=True) if k.rpartition("/")[0] == key]  # fix: slots = [torch.from_numpy(z[k]).clone() for k in sorted(z.files) if k.rpartition("/")[0] == key]
        opt.state[p] = {"step": torch.tensor(float(z["iterations"])), "exp_avg": slots[0], "exp_avg_sq": slots[1]}


def train(model, opt, n, g):
    log = []
    for i in range(n):
        loss = model.nll(*wind(96, g))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        opt.step()
        log.append(loss.item())
        if i % 100 == 0:
            print(i, round(log[-1], 4))
    return log


def main():
    torch.manual_seed(13)
    g = torch.Generator().manual_seed(14)
    a = MDN()
    oa = torch.optim.Adam(a.parameters(), lr=2e-3)
    train(a, oa, 200, g)
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "export.npz")
        export_tf(path, a, oa, 200)
        b = MDN()
        ob = torch.optim.Adam(b.parameters(), lr=2e-3)
        import_tf(path, b, ob)
    log = train(b, ob, 300, g)
    print("final loss", float(np.mean(log[-30:])))


main()
