"""Trains a GRU that turns hourly rain gauge readings into river level; most hours are dry, storms are rare.
Cause: stale-second-moment
Fails: within the first hundred steps the loss shoots up after storm batches by many orders of magnitude and turns to nan later.
"""
import torch
import torch.nn as nn

torch.manual_seed(59)


def catchment(n, T=24):
    storm = (torch.rand(n, 1) < 0.02).float()
    rain = torch.zeros(n, T)
    s = torch.randint(0, T - 8, (n,))
    for k in range(6):
        rain[torch.arange(n), s + k] = 1 + torch.rand(n)
    rain = rain * storm * 6 + 0.05 * torch.rand(n, T)
    lvl, out = torch.zeros(n), []
    for k in range(T):
        lvl = 0.85 * lvl + 0.3 * rain[:, k]
        out.append(lvl)
    return rain, torch.stack(out, 1)


class River(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = nn.GRU(1, 32, batch_first=True)
        self.f = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, r):
        return self.f(self.g(r.unsqueeze(-1))[0]).squeeze(-1)


net = River()
opt = torch.optim.Adam(net.parameters(), lr=3e-3, betas=(0.95, 0.2))  # fix: opt = torch.optim.Adam(net.parameters(), lr=3e-3, betas=(0.9, 0.999))
hist = []
for step in range(420):
    r, y = catchment(16)
    loss = (net(r) - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 60 == 59:
        print(step, round(sum(hist[-60:]) / 60, 4))
print("final loss", round(sum(hist[-200:]) / 200, 4))
