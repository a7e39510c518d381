"""Parity-like phase classification of a noisy sine with a hand-written GRU whose update gate is biased "to remember".

Cause: saturation
Fails: the bias of the update gate is 25 instead of 1, sigmoid(25) is 1 to float precision, the state never leaves zero and the gate has no slope; loss stays at ln 4 = 1.386
"""
import torch
import torch.nn as nn


class GRU(nn.Module):
    def __init__(self, i, h, remember):
        super().__init__()
        self.h = h
        self.x2 = nn.Linear(i, 3 * h)
        self.h2 = nn.Linear(h, 3 * h, bias=False)
        with torch.no_grad():
            self.x2.bias.zero_()
            self.x2.bias[:h] += remember

    def forward(self, x):
        s = x.new_zeros(x.shape[0], self.h)
        xs = self.x2(x)
        for t in range(x.shape[1]):
            xz, xr, xn = xs[:, t].chunk(3, -1)
            hz, hr, hn = self.h2(s).chunk(3, -1)
            z, r = torch.sigmoid(xz + hz), torch.sigmoid(xr + hr)
            s = z * s + (1 - z) * torch.tanh(xn + r * hn)
        return s


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = GRU(1, 48, remember=25.0)  # fix: self.rnn = GRU(1, 48, remember=1.0)
        self.fc = nn.Linear(48, 4)

    def forward(self, x):
        return self.fc(self.rnn(x))


def make(n, g):
    y = torch.randint(4, (n,), generator=g)
    t = torch.arange(30.0)
    x = torch.sin(t[None] * 0.35 + y[:, None] * 1.5708 + 0.2 * torch.randn(n, 1, generator=g))
    return (x + 0.2 * torch.randn(n, 30, generator=g)).unsqueeze(-1), y


def main():
    torch.manual_seed(16)
    g = torch.Generator().manual_seed(16)
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    hist = []
    for step in range(500):
        x, y = make(32, g)
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if step % 50 == 0:
            print("step", step, "loss", loss.item())
    print("final loss", sum(hist[-40:]) / 40)


main()
