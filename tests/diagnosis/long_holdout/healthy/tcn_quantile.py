"""Dilated TCN with pinball loss forecasting nine quantiles of a heavy-tailed weather-like series; NAdam."""
import math, numpy as np, torch
import torch.nn as nn, torch.nn.functional as F

class CausalConv(nn.Module):
    def __init__(self, c, d):
        super().__init__(); self.p = 2*d
        self.a = nn.utils.parametrizations.weight_norm(nn.Conv1d(c, c, 3, dilation=d)); self.b = nn.Conv1d(c, c, 1)
    def forward(self, x): return x + self.b(F.relu(self.a(F.pad(x, (self.p, 0)))))

class TCN(nn.Module):
    def __init__(self, c=24, q=9):
        super().__init__()
        self.inp = nn.Conv1d(2, c, 1)
        self.body = nn.Sequential(*[CausalConv(c, 2**i) for i in range(4)])
        self.out = nn.Conv1d(c, q, 1)
    def forward(self, x): return self.out(self.body(self.inp(x)))

class Trainer:
    def __init__(self, steps=7000, seed=77):
        torch.manual_seed(seed); self.rng = np.random.default_rng(seed); self.steps = steps
        self.q = torch.linspace(.1, .9, 9).view(1, -1, 1)
        self.net = TCN()
        self.opt = torch.optim.NAdam(self.net.parameters(), lr=2e-3)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, steps, 1e-5)
        n = 60000; tt = np.arange(n)
        vol = np.exp(.6*np.sin(2*np.pi*tt/5000))
        x = np.zeros(n); eps = self.rng.standard_t(2.5, n)*.25*vol
        for i in range(2, n): x[i] = 1.3*x[i-1] - .45*x[i-2] + eps[i]
        self.y = (x + 2*np.sin(2*np.pi*tt/96)).astype(np.float32)
        self.ph = np.sin(2*np.pi*tt/96).astype(np.float32)
    def batch(self, b=12, L=64):
        s = self.rng.integers(0, len(self.y)-L-1, b)
        idx = s[:, None] + np.arange(L+1)
        y = torch.from_numpy(self.y[idx]); ph = torch.from_numpy(self.ph[idx])
        return torch.stack([y[:, :-1]/3, ph[:, 1:]], 1), y[:, 1:]
    def pinball(self, pred, y):
        d = y.unsqueeze(1) - pred
        return torch.maximum(self.q*d, (self.q-1)*d).mean()
    def fit(self):
        log = []
        for i in range(1, self.steps+1):
            x, y = self.batch()
            loss = self.pinball(self.net(x), y)
            self.opt.zero_grad(); loss.backward(); self.opt.step(); self.sched.step()
            log.append(loss.item())
            if i % 500 == 0: print(f"[{i}] pinball {np.mean(log[-500:]):.4f} (max {max(log[-500:]):.3f})")
        return np.mean(log[-500:]), log[0]

final, first = Trainer().fit()
print("first", round(first, 4)); print(f"final loss {final:.4f}")
