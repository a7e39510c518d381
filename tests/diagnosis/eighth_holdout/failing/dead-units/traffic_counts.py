"""Conv-LSTM style counter: vehicles per five minutes, non-negative output head.

Cause: dead-units
Fails: the loss stays at its start, 54.6 in the first epoch, 54.4 in the last (with the fix 7.9)
"""
import torch
from torch import nn


torch.manual_seed(21)
N, P = 3000, 12
t = torch.arange(N).float()
rate = 6 + 4 * torch.sin(t / 288 * 6.283) + 2 * torch.sin(t / 36 * 6.283 + 1)
counts = torch.poisson(rate.clamp(min=0.3))
mu, sd = counts.mean(), counts.std()
scaled = (counts - mu) / sd


class CountNet(nn.Module):
    def __init__(self, start):
        super().__init__()
        self.conv = nn.Conv1d(1, 16, 3, padding=1)
        self.rnn = nn.LSTM(16, 32, batch_first=True)
        self.head = nn.Linear(32, 1)
        self.head.bias.data.fill_(start)

    def forward(self, w):
        z = torch.relu(self.conv(w[:, None])).transpose(1, 2)
        _, (h, _) = self.rnn(z)
        return torch.relu(self.head(h[-1]))[:, 0]


net = CountNet(start=-mu)  # fix: net = CountNet(start=mu)
optim = torch.optim.RMSprop(net.parameters(), lr=2e-3)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(scaled.unfold(0, P, 1)[:-1], counts[P:]),
    batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(1))

for epoch in range(8):
    tot = 0.0
    for w, c in loader:
        loss = ((net(w) - c) ** 2).mean()
        optim.zero_grad()
        loss.backward()
        optim.step()
        tot += loss.item()
    print("epoch", epoch, "mse", tot / len(loader))
print("final loss", tot / len(loader))
