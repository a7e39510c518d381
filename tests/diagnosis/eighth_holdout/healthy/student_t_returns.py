"""Student-t density forecast of crypto returns with a GRU; heavy tails, gradient spikes and a negative loss."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
rng = np.random.default_rng(0)
n = 5000
lv = np.zeros(n)
for i in range(1, n):
    lv[i] = 0.97 * lv[i - 1] + 0.22 * rng.standard_normal()
r = torch.tensor(0.01 * np.exp(lv / 2) * rng.standard_t(2.5, n), dtype=torch.float32)
feat = torch.stack([r.abs().add(1e-4).log(), r.sign()], -1)
feat = (feat - feat.mean(0)) / feat.std(0)


class Density(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.rnn = nn.GRU(2, h, batch_first=True)
        self.out = nn.Linear(h, 3)

    def forward(self, x):
        mu, s, nu = self.out(self.rnn(x)[0]).unbind(-1)
        return torch.distributions.StudentT(1.5 + F.softplus(nu), 0.01 * mu, 0.05 * F.softplus(s) + 1e-5)


model = Density()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
T, hist = 50, []
for k in range(260):
    i = torch.randint(0, n - T - 1, (32, 1)) + torch.arange(T)
    loss = -model(feat[i]).log_prob(r[i + 1]).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if k % 40 == 0:
        print(k, hist[-1])
print("final loss", float(np.mean(hist[-20:])))
