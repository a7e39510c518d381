"""A relu RNN, written by hand, that forecasts a sum of seasonal waves.

Cause: recurrent-gain
Fails: the loss is 5.8e26 at step 0 and 5.6e26 at the end
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(1)


def make_series(n, length):
    t = torch.arange(length + 1).float()
    phase = torch.rand(n, 2) * 2 * math.pi
    s = torch.sin(2 * math.pi * t / 24 + phase[:, :1]) + 0.5 * torch.sin(2 * math.pi * t / 7 + phase[:, 1:])
    return s + 0.02 * torch.randn(n, length + 1)


class ReluRNN(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.w_in = nn.Parameter(torch.randn(1, hidden) * 0.2)
        self.w_rec = nn.Parameter(torch.empty(hidden, hidden))
        self.b = nn.Parameter(torch.zeros(hidden))
        self.head = nn.Linear(hidden, 1)
        nn.init.normal_(self.w_rec, std=2.0 / math.sqrt(hidden))  # fix: nn.init.normal_(self.w_rec, std=1.0 / math.sqrt(hidden))

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.w_rec.shape[0])
        ys = []
        for t in range(x.shape[1]):
            h = torch.relu(x[:, t:t + 1] @ self.w_in + h @ self.w_rec + self.b)
            ys.append(self.head(h))
        return torch.cat(ys, 1)


data = make_series(256, 90)
net = ReluRNN()
opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
running = None
for step in range(240):
    idx = torch.randint(0, 256, (32,))
    seq = data[idx]
    pred = net(seq[:, :-1])
    loss = ((pred - seq[:, 1:])[:, 10:] ** 2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    running = loss.item() if running is None else 0.9 * running + 0.1 * loss.item()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.5g} (avg {running:.5g})")
print("final loss", running)
