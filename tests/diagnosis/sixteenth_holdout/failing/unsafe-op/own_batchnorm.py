"""MLP with a home-made batch normalisation on one-hot-heavy survey answers.

Cause: unsafe-op
Fails: a column that is constant inside a batch has variance zero, without
an eps the result is 0/0 and the run is nan from the first epoch on.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(35)


class Norm(nn.Module):
    def __init__(self, d, eps):
        super().__init__()
        self.g, self.b, self.eps = nn.Parameter(torch.ones(d)), nn.Parameter(torch.zeros(d)), eps

    def forward(self, x):
        mu = x.mean(0)
        sd = ((x - mu) ** 2).mean(0).add(self.eps).sqrt()
        return (x - mu) / sd * self.g + self.b


EPS = 0.0  # fix: EPS = 1e-5
age = torch.randint(18, 80, (4000,)).float()
ans = torch.stack([(torch.rand(4000) < p).float() for p in (0.5, 0.3, 0.2, 0.1, 0.02, 0.4)], 1)
X = torch.cat([age[:, None] / 40 - 1, ans], 1)
score = torch.sin(age / 12) + ans @ torch.tensor([1.0, -0.7, 0.4, 1.5, -2.0, 0.2]) + ans[:, 0] * ans[:, 1]
net = nn.Sequential(Norm(7, EPS), nn.Linear(7, 64), Norm(64, EPS), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for ep in range(20):
    s = 0.0
    for b in torch.randperm(4000).split(40):
        loss = F.mse_loss(net(X[b]).squeeze(1), score[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() / 100
    if ep % 2 == 0:
        print(f"epoch {ep} mse {s:.5f}")
print(f"final loss {s:.6f}")
