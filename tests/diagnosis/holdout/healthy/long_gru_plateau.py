"""A GRU over 100 steps that must count rare events: a long flat stretch, then it learns."""

import torch
import torch.nn as nn

torch.manual_seed(38)


class Counter(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)
        with torch.no_grad():
            self.gru.bias_hh_l0[hidden : 2 * hidden] += 3.0  # update gates start out remembering
            for w in self.gru.weight_hh_l0.chunk(3):
                nn.init.orthogonal_(w)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1]).squeeze(1)


def batch(n=24, length=100):
    event = (torch.rand(n, length) < 0.04).float()
    x = torch.stack([event, 0.5 * torch.randn(n, length)], -1)
    return x, (event.sum(1) - 4.0) / 2.0


net = Counter()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
losses = []
for step in range(150):
    x, y = batch()
    loss = nn.functional.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
