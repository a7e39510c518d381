"""Online one-pass learning: stateful LSTM forecasting a non-stationary electricity-load stream, one truncated window per step."""
import numpy as np, torch
from torch import nn

SEED = 1234
def stream(n, rng):
    """hourly load with daily/weekly cycle, growth, two regime shifts, outages"""
    h = np.arange(n)
    day = np.sin(2*np.pi*h/24) + .4*np.sin(4*np.pi*h/24 + 1)
    week = np.where((h // 24) % 7 >= 5, -.6, .2)
    season = 1.2*np.sin(2*np.pi*h/(24*365))
    level = 3 + .3*h/8760
    amp = np.ones(n)
    amp[int(.4*n):] = 1.6; level[int(.4*n):] += 1.5       # a new factory
    amp[int(.75*n):] = .9; level[int(.75*n):] -= 1.0      # it leaves
    noise = np.zeros(n); e = rng.normal(0, .08, n)
    for i in range(1, n): noise[i] = .8*noise[i-1] + e[i]
    y = level + amp*(day + week) + season + noise
    for s in rng.integers(500, n-100, 12):
        y[s:s+rng.integers(3, 20)] *= .3                 # outage
    return y.astype(np.float32)

class Forecaster(nn.Module):
    def __init__(self, H=32):
        super().__init__()
        self.cell = nn.LSTM(3, H, batch_first=True)
        self.head = nn.Linear(H, 1)
    def forward(self, x, s):
        o, s = self.cell(x, s)
        return x[..., :1] + self.head(o), s

def main():
    rng = np.random.default_rng(SEED); torch.manual_seed(SEED)
    W, n_steps = 12, 14000
    y = stream(W*n_steps + 1, rng)
    net = Forecaster(); opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    crit = nn.HuberLoss(delta=1.0)
    state, mean, hist = None, float(y[:48].mean()), []
    for k in range(n_steps):
        sl = np.arange(k*W, (k+1)*W)
        cur = torch.from_numpy(y[sl] - mean); nxt = torch.from_numpy(y[sl+1] - mean)
        ph = torch.from_numpy(np.stack([np.sin(2*np.pi*sl/24), np.cos(2*np.pi*sl/24)], -1).astype(np.float32))
        x = torch.cat([cur[:, None], ph], -1)[None]
        pred, state = net(x, state)
        loss = crit(pred[0, :, 0], nxt)
        opt.zero_grad(); loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        state = (state[0].detach(), state[1].detach())
        mean = .995*mean + .005*float(y[sl].mean())
        hist.append(loss.item())
        if (k+1) % 1000 == 0: print(f"{k+1:6d}  last-1000 mean {np.mean(hist[-1000:]):.5f}  median {np.median(hist[-1000:]):.5f}")
    print(f"final loss {np.mean(hist[-1000:]):.5f}")

main()
