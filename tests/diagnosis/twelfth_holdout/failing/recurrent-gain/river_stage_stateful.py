"""River stage from rainfall, trained over one long record in consecutive chunks (truncated BPTT).

Cause: recurrent-gain
Fails: final normalised error (mse/var) nan (with the fix 0.1625)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(33)
CHUNK, STATIONS = 25, 16


def hydrograph(T):
    rain = torch.relu(torch.randn(T, STATIONS) - 0.6)
    k = torch.linspace(0.7, 0.92, STATIONS)
    store = torch.zeros(STATIONS)
    stage = torch.zeros(T, STATIONS)
    for t in range(T):
        store = k * store + rain[t]
        stage[t] = store * (1 - k) * 5
    return rain.t().unsqueeze(-1), (stage + 0.03 * torch.randn_like(stage)).t(), k


class Accumulator(nn.Module):
    """Additive-memory recurrent unit: the state integrates a learned inflow, read out by an MLP."""

    def __init__(self, hidden=32):
        super().__init__()
        self.inflow = nn.Linear(1 + hidden, hidden)
        self.read = nn.Sequential(nn.Linear(hidden, 32), nn.ReLU(), nn.Linear(32, 1))
        self.hidden = hidden

    def forward(self, x, h):
        out = []
        for t in range(x.size(1)):
            h = h + F.relu(self.inflow(torch.cat([x[:, t], h], -1))) * 0.2
            out.append(self.read(h))
        return torch.cat(out, 1), h


def carry(state):
    return state.detach()  # fix: return torch.zeros_like(state)


rain, stage, _ = hydrograph(CHUNK * 300)
model = Accumulator()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
state = torch.zeros(STATIONS, model.hidden)
n_train = 270
window = []
for c in range(n_train):
    sl = slice(c * CHUNK, (c + 1) * CHUNK)
    pred, state = model(rain[:, sl], carry(state))
    loss = F.mse_loss(pred[:, 5:], stage[:, sl][:, 5:])
    opt.zero_grad()
    loss.backward()
    opt.step()
    window.append(loss.item())
    if (c + 1) % 45 == 0:
        print(f"chunk {c + 1}: mse {sum(window[-45:]) / 45:.4g}")

err = var = 0.0
with torch.no_grad():
    for c in range(n_train, 300):
        sl = slice(c * CHUNK, (c + 1) * CHUNK)
        pred, state = model(rain[:, sl], carry(state))
        y = stage[:, sl][:, 5:]
        err += (pred[:, 5:] - y).pow(2).mean().item()
        var += (y - stage.mean()).pow(2).mean().item()
print(f"final normalised error (mse/var): {err / var:.4f}")
