"""Probabilistic temperature forecast with a GRU, Gaussian likelihood: the loss becomes negative."""
import math
import torch
from torch import nn

torch.manual_seed(3)
n = 9000
t = torch.arange(n).float()
noise = torch.zeros(n)
for i in range(1, n):
    noise[i] = 0.98 * noise[i - 1] + 0.01 * torch.randn(1)
temp = 0.4 * torch.sin(2 * math.pi * t / 48) + 0.3 * torch.sin(2 * math.pi * t / 480) + noise
wins = temp.unfold(0, 37, 1)
train, test = wins[:7500], wins[7500:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 32, batch_first=True)
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        mu, raw = self.out(self.gru(x.unsqueeze(-1))[0][:, -1]).unbind(-1)
        return x[:, -1] + mu, nn.functional.softplus(raw) + 1e-3


def nll(net, w):
    mu, s = net(w[:, :-1])
    return -torch.distributions.Normal(mu, s).log_prob(w[:, -1]).mean()


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for k in range(500):
    loss = nll(net, train[torch.randint(0, len(train), (32,))])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    if k % 50 == 0:
        print(k, loss.item())
with torch.no_grad():
    print("final loss", nll(net, test).item())
