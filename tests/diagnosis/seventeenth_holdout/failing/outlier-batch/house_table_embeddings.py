"""Trains a tabular net with a categorical embedding on synthetic house records.
Cause: outlier-batch
Fails: trains for a part of the first epoch, then one batch throws the weights off and the loss becomes nan.
"""
import torch
import torch.nn as nn

torch.manual_seed(41)
N = 3000
area = 60 + 25 * torch.randn(N).abs()
rooms = (area / 25).round() + torch.randint(0, 2, (N,))
town = torch.randint(0, 12, (N,))
tv = torch.randn(12)
price = 0.02 * area + 0.2 * rooms + tv[town] + 0.1 * torch.randn(N)
price = (price - price.mean()) / price.std()
size = area.clone()
size[[911, 2222]] *= 1e4

med = size.median()
iqr = size.quantile(0.75) - size.quantile(0.25)
a = (size - med) / iqr  # fix: a = ((size - med) / iqr).clamp(-4, 4)
q = (rooms - rooms.mean()) / rooms.std()
num = torch.stack([a, q], 1)


class Tab(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(12, 6)
        self.f = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x, c):
        return self.f(torch.cat([x, self.e(c)], 1)).squeeze(1)


net = Tab()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
k = 0
for epoch in range(10):
    s = []
    for b in torch.randperm(N).split(32):
        loss = (net(num[b], town[b]) - price[b]).square().mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        s.append(loss.item())
        if epoch == 0 and k % 12 == 0:
            print("step", k, round(s[-1], 4))
        k += 1
    print("epoch", epoch, sorted(s)[len(s) // 2])
print("final loss", sorted(s)[len(s) // 2])
