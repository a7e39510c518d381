"""Matrix-factorisation recommender, ridge term inside the loss.

Cause: weight-growth
Fails: the ridge term enters with the wrong sign, factors of rarely rated items are
rewarded for getting long; the rating error rises to infinity.
"""
import torch
import torch.nn as nn

torch.manual_seed(91)
U, I, K = 300, 200, 6
tu, ti = torch.randn(U, K) / K ** 0.25, torch.randn(I, K) / K ** 0.25
uu, ii = torch.randint(0, U, (20000,)), (torch.rand(20000) ** 2 * I).long()
rate = 3.5 + (tu[uu] * ti[ii]).sum(1) + 0.1 * torch.randn(20000)


class MF(nn.Module):
    def __init__(self, k=8):
        super().__init__()
        self.p, self.q = nn.Embedding(U, k), nn.Embedding(I, k)
        self.bu, self.bi = nn.Embedding(U, 1), nn.Embedding(I, 1)
        for e in (self.p, self.q):
            nn.init.normal_(e.weight, std=0.3)
        for e in (self.bu, self.bi):
            nn.init.zeros_(e.weight)
        self.mu = nn.Parameter(torch.tensor(3.0))

    def forward(self, u, i):
        return self.mu + self.bu(u)[:, 0] + self.bi(i)[:, 0] + (self.p(u) * self.q(i)).sum(1)


model = MF()
opt = torch.optim.SGD(model.parameters(), lr=2.0)
ridge = 1e-3
for epoch in range(20):
    tot = 0.0
    for b in torch.randperm(20000).split(200):
        err = (model(uu[b], ii[b]) - rate[b]).pow(2).mean()
        norm = model.p.weight.pow(2).sum() + model.q.weight.pow(2).sum()
        loss = err - ridge * norm  # fix: loss = err + ridge * norm
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([model.mu], 0.05)
        opt.step()
        tot += err.item() / 100
    if epoch % 2 == 0:
        print("epoch", epoch, "rating mse", tot)
print("final loss", tot)
