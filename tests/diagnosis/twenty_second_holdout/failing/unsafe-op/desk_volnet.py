"""Equity desk toy: learned factor signals, their rolling dispersion, and a head that forecasts next-day absolute return.

Cause: unsafe-op
"""
import numpy as np, torch, torch.nn as nn
torch.set_num_threads(1)
SEED = 19; np.random.seed(SEED); torch.manual_seed(SEED)

# --- panel of returns: 40 names, GARCH(1,1)-like with common shocks
NAMES, T, W = 40, 1200, 16
h = np.full(NAMES, 1.0); R = np.zeros((T, NAMES), np.float32); prev = np.zeros(NAMES)
for t in range(T):
    h = 0.05 + 0.12 * prev ** 2 + 0.83 * h
    prev = np.sqrt(h) * (0.5 * np.random.randn() + 0.87 * np.random.standard_t(6, NAMES) / 1.22)
    prev = np.clip(prev, -8, 8)
    R[t] = prev
R[640:668, 23] = 0.0            # name 23: trading halted pending announcement
R = torch.from_numpy(R)

class VolNet(nn.Module):
    def __init__(self, k=12):
        super().__init__()
        self.k = nn.Conv1d(1, k, 3, bias=False)
        self.head = nn.Sequential(nn.Linear(2 * k, 32), nn.Tanh(), nn.Linear(32, 1), nn.Softplus())
    def forward(self, w):                              # (B, W)
        z = self.k(w[:, None])
        mu = z.mean(-1, keepdim=True)
        var = (z - mu).square().mean(-1)
        disp = torch.sqrt(var)  # fix: disp = torch.sqrt(var + 1e-4)
        return self.head(torch.cat([disp, z[..., -1].abs()], 1)).squeeze(1)

net = VolNet()
opt = torch.optim.Adam(net.parameters(), 1e-3)
pnl = []
it = 0
for epoch in range(1):
    for t in range(W, T - 1):
        w = R[t - W:t].T                                # all names at once
        y = R[t].abs()
        s = net(w)
        # QLIKE-flavoured loss plus a bit of MAE
        loss = (torch.log(s + .1) + (y + .1) / (s + .1)).mean() + .2 * (s - y).abs().mean()
        opt.zero_grad(); loss.backward(); opt.step()
        pnl.append(loss.item())
        if it % 100 == 0: print(f"t={t:5d} qlike={np.mean(pnl[-100:]):.4f}")
        it += 1
print("final loss", float(np.mean(pnl[-20:])))
