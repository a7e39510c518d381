"""Station weather (pressure in Pa, radiation in W/m2, wind, humidity) to tomorrow's temperature anomaly with an own tanh RNN.

Cause: input-scale, saturation
"""
import numpy as np
import torch

torch.set_num_threads(1)
torch.manual_seed(30)
rs = np.random.RandomState(30)

# ------------------------------------------------------------------ data
T = 6000
front = np.zeros(T)
for i in range(2, T):
    front[i] = 1.7 * front[i - 1] - 0.75 * front[i - 2] + 0.2 * rs.randn()
front /= front.std()
press = 101325 + 900 * np.roll(front, -2) + 150 * rs.randn(T)
rad = np.clip(180 + 90 * np.sin(np.arange(T) / 58.1) + 40 * rs.randn(T) + 50 * front, 0, None)
wind = np.abs(4 + 2 * np.gradient(front) * 5 + rs.randn(T))
hum = np.clip(0.7 - 0.1 * front + 0.05 * rs.randn(T), 0, 1)
temp = 0.8 * np.roll(front, 1) + 0.3 * (rad - 180) / 90 + 0.25 * rs.randn(T)
temp = (temp - temp.mean()) / temp.std()
feats = np.stack([press, rad, wind, hum], 1)

clim = feats.mean(0)
feats = feats - clim  # fix: feats = (feats - clim) / feats.std(0)
feats = torch.tensor(feats, dtype=torch.float32)
temp = torch.tensor(temp, dtype=torch.float32)

# ------------------------------------------------------------------ net
H = 32
p = {
    "Wx": torch.randn(4, H) * 0.3,
    "Wh": torch.linalg.qr(torch.randn(H, H))[0] * 0.8,
    "bh": torch.zeros(H),
    "Wo": torch.randn(H, 1) * 0.1,
    "bo": torch.zeros(1),
}
for v in p.values():
    v.requires_grad_(True)


def run(x):
    h = torch.zeros(x.shape[0], H)
    for k in range(x.shape[1]):
        h = torch.tanh(x[:, k] @ p["Wx"] + h @ p["Wh"] + p["bh"])
    return (h @ p["Wo"] + p["bo"]).squeeze(1)


lr, mom = 0.03, 0.9
vel = {k: torch.zeros_like(v) for k, v in p.items()}
errs = []
for step in range(1200):
    i = torch.from_numpy(rs.randint(0, T - 16, 32))
    x = torch.stack([feats[j:j + 14] for j in i])
    loss = (run(x) - temp[i + 14]).square().mean()
    grads = torch.autograd.grad(loss, list(p.values()))
    with torch.no_grad():
        for (k, v), g in zip(p.items(), grads):
            vel[k].mul_(mom).sub_(g, alpha=lr)
            v.add_(vel[k])
    errs.append(loss.item())
    if step % 120 == 0:
        print(step, "mse", round(float(np.mean(errs[-40:])), 4))
print("final loss", float(np.mean(errs[-20:])))
