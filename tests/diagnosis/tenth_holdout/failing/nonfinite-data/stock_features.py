"""Direction of next-day returns of forty illiquid stocks: MLP on log-volume and return features (quant desk script).

Cause: nonfinite-data
Fails: the loss is not finite from step 214 on
"""
import numpy as np, torch, torch.nn as nn
torch.manual_seed(4); R = np.random.default_rng(4)

S, D = 40, 900
sig = R.standard_normal((S, D)); 
for d in range(1, D): sig[:, d] = 0.9 * sig[:, d-1] + 0.43 * sig[:, d]
ret = 0.012 * np.roll(sig, 1, 1) + 0.008 * R.standard_normal((S, D))
vol = np.floor(np.exp(9 + 0.8 * sig + 0.6 * R.standard_normal((S, D))))
vol[R.random((S, D)) < 0.0002] = 0

def features(ret, vol):
    lv = np.log(vol)  # fix: lv = np.log1p(vol)
    lv = (lv - 9.0) / 1.2
    return np.stack([lv, np.roll(lv, 1, 1), ret / 0.015, np.roll(ret, 1, 1) / 0.015], -1)

with np.errstate(divide="ignore"):
    X = features(ret, vol)[:, 2:-1].reshape(-1, 4)
Y = (ret[:, 3:] > 0).reshape(-1)
X, Y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y, dtype=torch.float32)

net = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
opt = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-2)
bce = nn.BCEWithLogitsLoss()
track = []
order = torch.randperm(len(X))
for ep in range(3):
    for b in order.split(64):
        loss = bce(net(X[b]).squeeze(1), Y[b])
        opt.zero_grad(); loss.backward(); opt.step()
        track.append(loss.item())
    print("epoch", ep, "bce", np.mean(track[-300:]))
print("final loss", float(np.mean(track[-200:])))
