"""Click-through model of a web shop: user and item taste vectors into an MLP, home-made SGDW.
Cause: weight-growth
Fails: learns to 0.26, then is thrown up before step 2100 and stays at 0.68, a constant guess
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class SGDW:
    def __init__(self, params, lr, momentum=0.9, decay=0.0):
        self.params = [p for p in params if p.requires_grad]
        self.lr, self.mom, self.decay = lr, momentum, decay
        self.buf = [torch.zeros_like(p) for p in self.params]

    @torch.no_grad()
    def step(self):
        for p, b in zip(self.params, self.buf):
            b.mul_(self.mom).add_(p.grad)
            p.mul_(1 + self.lr * self.decay)  # fix: p.mul_(1 - self.lr * self.decay)
            p.sub_(self.lr * b)

    def zero_grad(self):
        for p in self.params:
            p.grad = None


def ctr_net(d_in=8, h=64):
    return nn.Sequential(nn.Linear(d_in, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 32), nn.ReLU(), nn.Linear(32, 1))


torch.manual_seed(19)
tu, ti = torch.randn(400, 4), torch.randn(150, 4)


def impressions(n):
    u = (400 * torch.rand(n) ** 1.5).long()
    i = (150 * torch.rand(n) ** 1.5).long()
    p = torch.sigmoid(3.0 * (tu[u] * ti[i]).sum(1) - 1.0)
    return torch.cat([tu[u], ti[i]], 1), torch.bernoulli(p)


model = ctr_net()
opt = SGDW(model.parameters(), lr=0.2, decay=0.005)
log = []
for step in range(3000):
    x, y = impressions(256)
    loss = F.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if step % 300 == 0:
        print(step, "logloss", round(sum(log[-50:]) / len(log[-50:]), 4))
print("final loss", sum(log[-100:]) / 100)
