"""Store revenue with entity embeddings (Rossmann style table net), targets in currency units.

Cause: loss-scale
Fails: the squared error of revenues in the hundred thousands starts at 1e10 and the loss is nan within a few steps
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(99)
n = 3000
store = torch.randint(0, 40, (n,))
dow = torch.randint(0, 7, (n,))
promo = torch.randint(0, 2, (n,))
cont = torch.randn(n, 3)
base = torch.randn(40) * 25000 + 110000
season = torch.tensor([9.0, 2.0, 0.0, 1.0, 6.0, 14.0, -18.0]) * 1000
revenue = (
    base[store] + season[dow] + 22000 * promo + cont @ torch.tensor([8000.0, -5000.0, 3000.0]) + 4000 * torch.randn(n)
)


class TabularNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb_store = nn.Embedding(40, 12)
        self.emb_dow = nn.Embedding(7, 4)
        self.layers = nn.Sequential(
            nn.Linear(12 + 4 + 1 + 3, 64), nn.GELU(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 1)
        )

    def forward(self, s, d, p, c):
        z = torch.cat([self.emb_store(s), self.emb_dow(d), p.float().unsqueeze(1), c], dim=1)
        return self.layers(z).squeeze(1)


target = revenue  # fix: target = (revenue - revenue.mean()) / revenue.std()
dl = DataLoader(TensorDataset(store, dow, promo, cont, target), batch_size=60, shuffle=True)
net = TabularNet()
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.8)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.85)
losses = []
for epoch in range(8):
    for s, d, p, c, t in dl:
        loss = ((net(s, d, p, c) - t) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    sched.step()
    print("epoch", epoch, "loss", losses[-1])
print("final loss", sum(losses[-10:]) / len(losses[-10:]))
