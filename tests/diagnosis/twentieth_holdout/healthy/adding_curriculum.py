"""The adding problem with a GRU; the sequence gets longer in stages, the loss leaps at each stage and falls again."""
import torch
from torch import nn

torch.manual_seed(10)


def task(n, T):
    v = torch.rand(n, T)
    m = torch.zeros(n, T)
    a, b = torch.randint(0, T // 2, (n,)), torch.randint(T // 2, T, (n,))
    m[torch.arange(n), a] = 1
    m[torch.arange(n), b] = 1
    return torch.stack([v, m], -1), ((v * m).sum(1) - 1) * 3


class M(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = nn.GRU(2, 40, batch_first=True)
        self.o = nn.Linear(40, 1)

    def forward(self, x):
        return self.o(self.g(x)[1][0]).squeeze(1)


net = M()
opt = torch.optim.Adam(net.parameters(), lr=6e-3)
step = 0
for T, k in [(4, 180), (10, 180), (20, 160), (40, 120)]:
    for _ in range(k):
        x, y = task(64, T)
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        if step % 30 == 0:
            print(step, T, loss.item())
        step += 1
with torch.no_grad():
    x, y = task(500, 40)
    print("final loss", nn.functional.mse_loss(net(x), y).item())
