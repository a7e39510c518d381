"""GRU volatility model of daily returns with Student-t likelihood; fat tails give spiky gradients and the loss is negative."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(37)
rng = np.random.default_rng(37)
A, T = 60, 600
h = np.zeros((A, T))
for k in range(1, T):
    h[:, k] = 0.97 * h[:, k - 1] + 0.24 * rng.standard_normal(A)
r = 0.012 * np.exp(0.5 * h) * rng.standard_t(3, (A, T))
r = torch.tensor(r, dtype=torch.float32)


class VolNet(nn.Module):
    def __init__(self, hid=24):
        super().__init__()
        self.gru = nn.GRU(2, hid, batch_first=True)
        self.out = nn.Linear(hid, 2)

    def forward(self, x):
        z = torch.stack([x * 50, (x.abs() + 1e-4).log() + 5], -1)
        o = self.out(self.gru(z)[0])
        return torch.exp(o[..., 0] - 2.0), 2.1 + nn.functional.softplus(o[..., 1] + 2)


net = VolNet()
opt = torch.optim.RMSprop(net.parameters(), lr=2e-3)
hist = []
for step in range(350):
    a = torch.randint(0, A, (32,))
    s = torch.randint(0, T - 61, (32,))
    w = torch.stack([r[i, j:j + 61] for i, j in zip(a, s)])
    scale, df = net(w[:, :-1])
    loss = -torch.distributions.StudentT(df, 0.0, scale).log_prob(w[:, 1:]).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", float(np.mean(hist[-30:])))
