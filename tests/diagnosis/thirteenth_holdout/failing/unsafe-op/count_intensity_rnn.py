"""Hourly call-centre arrivals as a Poisson process with an RNN intensity.

Cause: unsafe-op
Fails: the loss is not finite from step 191 on (with the fix: final loss -148.7)
"""
import torch
import torch.nn as nn


def positive(z):
    return torch.log(1 + torch.exp(z))  # fix: return nn.functional.softplus(z)


class IntensityRNN(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.rnn = nn.RNN(4, hidden, batch_first=True)
        self.rate = nn.Linear(hidden, 1)

    def forward(self, feats):
        h, _ = self.rnn(feats)
        return positive(20.0 * self.rate(h).squeeze(-1)) + 1e-3


def make_weeks(n, g):
    h = torch.arange(24 * 3).float()
    base = 40 + 35 * torch.sin(2 * torch.pi * (h - 9) / 24)
    campaign = (torch.rand(n, 1, generator=g) < 0.15).float()
    lam = base.clamp_min(1.0) * (0.8 + 0.4 * torch.rand(n, 1, generator=g)) + 90 * campaign * (h % 24 > 12)
    counts = torch.poisson(lam, generator=g)
    tod = 2 * torch.pi * h / 24
    f = torch.stack([torch.sin(tod).expand(n, -1), torch.cos(tod).expand(n, -1),
                     campaign.expand(-1, len(h)), torch.ones(n, len(h))], -1)
    return f, counts


g = torch.Generator().manual_seed(12)
torch.manual_seed(12)
model = IntensityRNN()
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
ema = 0.0
for it in range(400):
    f, c = make_weeks(16, g)
    lam = model(f)
    nll = (lam - c * lam.log()).mean()
    opt.zero_grad()
    nll.backward()
    opt.step()
    ema = nll.item() if it == 0 else 0.9 * ema + 0.1 * nll.item()
    if it % 40 == 0:
        print(it, "nll", round(ema, 3), "mean rate", round(lam.mean().item(), 2))
print("final loss", ema)
