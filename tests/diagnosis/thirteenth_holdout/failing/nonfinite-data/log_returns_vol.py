"""Volatility forecast from log returns of a panel of thinly traded stocks (quant desk).

Cause: nonfinite-data
Fails: the loss is not finite from step 8 on (with the fix: final loss 0.3514)
"""
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(44)
N_STOCKS, DAYS, W = 40, 500, 20

vol = np.exp(-4.2 + 0.8 * np.sin(np.arange(DAYS) / 25.0))[None, :] * np.exp(0.2 * rng.normal(size=(N_STOCKS, 1)))
ret = vol * rng.standard_normal((N_STOCKS, DAYS))
px = 50 * np.exp(np.cumsum(ret, 1))
px[17, 311] = 0.0          # no quote that day

with np.errstate(divide="ignore"):
    r = np.diff(np.log(px), axis=1)
r = np.clip(r, -np.inf, np.inf)  # fix: r = np.clip(r, -0.2, 0.2)
R = torch.tensor(r * 50, dtype=torch.float32)


class VolNet(nn.Module):
    """conv front end + LSTM, predicts log sigma of tomorrow"""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 12, 3, padding=1)
        self.lstm = nn.LSTM(12, 16, batch_first=True)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        f = torch.stack([x, x.abs()], 1)
        h, _ = self.lstm(torch.relu(self.conv(f)).transpose(1, 2))
        return self.out(h[:, -1]).squeeze(-1)


torch.manual_seed(44)
net = VolNet()
opt = torch.optim.RAdam(net.parameters(), lr=3e-3)


def gaussian_nll(log_s, x):
    return (log_s + 0.5 * (x / log_s.exp()).pow(2)).mean()


hist = []
for step in range(500):
    s = torch.randint(0, N_STOCKS, (128,))
    d = torch.randint(0, DAYS - 2 - W, (128,))
    seq = R[s[:, None], d[:, None] + torch.arange(W + 1)]
    loss = gaussian_nll(net(seq[:, :-1]), seq[:, -1])
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 100 == 0:
        print("step", step, "nll", np.mean(hist[-50:]))
print("final loss", float(np.mean(hist[-50:])))
