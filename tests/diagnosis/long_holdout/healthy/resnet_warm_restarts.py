"""Small residual conv net on synthetic shape images; SGD with Nesterov and many cosine warm restarts."""
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts

torch.manual_seed(0); rng = np.random.default_rng(0)
S = 12
yy, xx = np.mgrid[:S, :S]

def draw(c):
    cy, cx, r = rng.uniform(3.5, 7.5), rng.uniform(3.5, 7.5), rng.uniform(2, 3.5)
    dy, dx = np.abs(yy - cy), np.abs(xx - cx)
    m = [np.hypot(dy, dx) < r, (dy < r) & (dx < r), dy + dx < r * 1.2, (dy < 1) | (dx < 1), np.abs(np.hypot(dy, dx) - r) < .8][c]
    return m * rng.uniform(.5, 1.5) + rng.normal(0, .25, (S, S))

y_all = rng.integers(0, 5, 3000)
X_all = torch.tensor(np.stack([draw(c) for c in y_all]), dtype=torch.float32)[:, None]
y_all = torch.tensor(y_all)
Xtr, ytr, Xte, yte = X_all[:2500], y_all[:2500], X_all[2500:], y_all[2500:]

def bn_conv(i, o, s=1): return nn.Sequential(nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o))
class Res(nn.Module):
    def __init__(self, i, o, s=1):
        super().__init__()
        self.f = nn.Sequential(bn_conv(i, o, s), nn.ReLU(), bn_conv(o, o))
        self.sc = nn.Identity() if i == o and s == 1 else bn_conv(i, o, s)
    def forward(self, x): return F.relu(self.f(x) + self.sc(x))
net = nn.Sequential(bn_conv(1, 8), nn.ReLU(), Res(8, 8), Res(8, 16, 2), Res(16, 24, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5))

opt = torch.optim.SGD(net.parameters(), lr=.1, momentum=.9, nesterov=True, weight_decay=5e-4)
sched = CosineAnnealingWarmRestarts(opt, T_0=500, T_mult=1, eta_min=1e-4)
lossf = nn.CrossEntropyLoss(label_smoothing=.05)
hist = []; step = 0; BS = 16
while step < 4500:
    for idx in torch.randperm(len(ytr)).split(BS):
        if len(idx) < BS: continue
        xb = Xtr[idx]
        if torch.rand(()) < .5: xb = xb.flip(-1)
        loss = lossf(net(xb), ytr[idx])
        opt.zero_grad(); loss.backward(); opt.step(); sched.step()
        hist.append(loss.item()); step += 1
        if step % 500 == 0:
            net.eval()
            with torch.no_grad(): acc = (net(Xte).argmax(1) == yte).float().mean().item()
            net.train()
            print(f"cycle end {step}: train {np.mean(hist[-100:]):.4f} test acc {acc:.3f}")
        if step >= 4500: break
print("first", hist[0]); print(f"final loss {np.mean(hist[-200:]):.4f}")
