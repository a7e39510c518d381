"""Was there a marker pulse at the start of a sensor trace: own tanh RNN cell, T=60, custom init helper.

Cause: vanishing-recurrent
Fails: the recurrent matrix starts at std 0.01 (spectral radius about 0.08), nothing of the first steps reaches the end; loss stays at ln 2 = 0.693
"""
import numpy as np
import torch
import torch.nn as nn

CFG = dict(seed=3, T=60, hid=64, lr=1e-3, steps=900, bs=32)


def init_weights(m):
    for n, p in m.named_parameters():
        if n.endswith("U"):
            nn.init.normal_(p, std=0.01)  # fix: nn.init.orthogonal_(p)
        elif p.dim() > 1:
            nn.init.xavier_uniform_(p)
        else:
            nn.init.zeros_(p)


class Cell(nn.Module):
    def __init__(self, i, h):
        super().__init__()
        self.W = nn.Parameter(torch.empty(i, h))
        self.U = nn.Parameter(torch.empty(h, h))
        self.b = nn.Parameter(torch.empty(h))

    def forward(self, x, s):
        return torch.tanh(x @ self.W + s @ self.U + self.b)


class Detector(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.cell = Cell(2, h)
        self.cls = nn.Linear(h, 2)
        self.apply(lambda m: init_weights(m) if isinstance(m, (Cell, nn.Linear)) else None)

    def forward(self, x):
        s = x.new_zeros(x.shape[0], self.cls.in_features)
        for t in range(x.shape[1]):
            s = self.cell(x[:, t], s)
        return self.cls(s)


def traces(n, T, rng):
    y = rng.integers(0, 2, n)
    x = 0.1 * rng.standard_normal((n, T, 2))
    x[:, 2, 0] += 2.0 * (2 * y - 1)
    x[:, :, 1] += np.sin(np.arange(T) / 3)[None] * 0.3
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


torch.manual_seed(CFG["seed"])
rng = np.random.default_rng(CFG["seed"])
net = Detector(CFG["hid"])
opt = torch.optim.RMSprop(net.parameters(), lr=CFG["lr"])
run = []
for s in range(CFG["steps"]):
    x, y = traces(CFG["bs"], CFG["T"], rng)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    run.append(loss.item())
    if s % 100 == 99:
        print(f"{s + 1}: {np.mean(run[-100:]):.4f}")
print("final loss", float(np.mean(run[-50:])))
