"""A DeepAR-like GRU forecasts intermittent spare-part demand with a negative binomial likelihood and bursts in the counts."""
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(33)


def demand(n, T):
    rate = torch.exp(torch.randn(n, 1) * 0.8) * (1 + 0.8 * torch.sin(torch.arange(T) * 6.2832 / 7))
    counts = torch.poisson(rate * torch.distributions.Gamma(2.0, 2.0).sample((n, T)))
    burst = torch.rand(n, T) < 0.01
    return torch.where(burst, counts * 12 + 20, counts)


class DeepAR(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.cell = nn.GRUCell(4, h)
        self.mu, self.alpha = nn.Linear(h, 1), nn.Linear(h, 1)
        nn.init.constant_(self.mu.bias, 6.0)

    def nll(self, z):
        scale = 1 + z[:, :10].mean(1, keepdim=True)
        h, total = torch.zeros(len(z), 32), 0.0
        for t in range(1, z.shape[1]):
            day = torch.full((len(z), 1), t * 6.2832 / 7)
            x = torch.cat([z[:, t - 1 : t] / scale, scale.log(), day.sin(), day.cos()], 1)
            h = self.cell(x, h)
            mu = F.softplus(self.mu(h)) * scale + 1e-4
            a = F.softplus(self.alpha(h)) * 2 + 1e-3
            r, y = 1 / a, z[:, t : t + 1]
            ll = torch.lgamma(y + r) - torch.lgamma(r) - torch.lgamma(y + 1) - r * torch.log1p(a * mu) + y * (torch.log(a * mu) - torch.log1p(a * mu))
            total = total - ll.mean()
        return total / (z.shape[1] - 1)


net = DeepAR()
opt = torch.optim.Adam(net.parameters(), lr=2e-2)
hist = []
for step in range(140):
    loss = net.nll(demand(64, 22))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
print("first loss", sum(hist[:5]) / 5)
print("final loss", sum(hist[-30:]) / 30)
