"""GRU on soil moisture probes with long NaN stretches, handled by mask inputs and a masked loss; some windows have hardly any labels."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(73)
rng = np.random.default_rng(73)
n = 4000
rain = rng.gamma(0.3, 9, n) * (rng.random(n) < 0.3)
sm = np.zeros(n)
for i in range(1, n):
    sm[i] = min(0.45, sm[i - 1] * 0.985 + 0.004 * rain[i])
obs = sm + rng.normal(0, 0.004, n)
k = 0
while k < n:
    k += rng.integers(40, 160)
    gap = rng.integers(5, 120)
    obs[k:k + gap] = np.nan
    k += gap
mu, sd = np.nanmean(obs), np.nanstd(obs)
z = torch.tensor((obs - mu) / sd, dtype=torch.float32)
rain_t = torch.tensor(np.log1p(rain), dtype=torch.float32)


class Imputer(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.gru = nn.GRU(3, h, batch_first=True)
        self.out = nn.Linear(h, 1)

    def forward(self, last, m, rain):
        return self.out(self.gru(torch.stack([last, m, rain], -1))[0]).squeeze(-1)


net = Imputer()
opt = torch.optim.NAdam(net.parameters(), lr=4e-3)
W = 60
hist = []
for step in range(300):
    i = torch.randint(0, n - W - 1, (24,))
    past = torch.stack([z[j:j + W] for j in i])
    tgt = torch.stack([z[j + 1:j + W + 1] for j in i])
    rn = torch.stack([rain_t[j + 1:j + W + 1] for j in i])
    m = torch.isfinite(past).float()
    ok = torch.isfinite(tgt)
    pred = net(torch.nan_to_num(past), m, rn)
    err = (pred - torch.nan_to_num(tgt)).pow(2) * ok
    loss = err.sum() / ok.sum().clamp(min=1)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, "masked mse", loss.item(), "labels", int(ok.sum()))
print("final loss", float(np.mean(hist[-30:])))
