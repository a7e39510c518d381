"""Pretrained GRU intent model adapted to a related task: head first, body unfrozen later at a lower rate; starts low, small bump."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(44)
V, L, K = 80, 12, 6
topic = torch.randn(V, K)


def queries(n, shift=0.0):
    y = torch.randint(0, K, (n,))
    p = (topic[:, y].T * (1.5 - shift)).softmax(-1)
    return torch.multinomial(p, L, replacement=True), y


class Intent(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.gru, self.head = nn.Embedding(V, 32), nn.GRU(32, 48, batch_first=True), nn.Linear(48, K)

    def forward(self, x):
        return self.head(self.gru(self.emb(x))[0].mean(1))


def fit(net, opt, steps, shift, tag):
    vals = []
    for i in range(steps):
        x, y = queries(64, shift)
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        vals.append(loss.item())
        if i % 50 == 0:
            print(tag, i, vals[-1])
    return sum(vals[-20:]) / 20


base = Intent()
fit(base, torch.optim.Adam(base.parameters(), lr=5e-3), 200, 0.0, "pretrain")
net = copy.deepcopy(base)
for p in [*net.emb.parameters(), *net.gru.parameters()]:
    p.requires_grad_(False)
fit(net, torch.optim.Adam(net.head.parameters(), lr=2e-3), 100, 0.3, "head")
for p in net.parameters():
    p.requires_grad_(True)
opt = torch.optim.Adam([{"params": [*net.emb.parameters(), *net.gru.parameters()], "lr": 3e-4}, {"params": net.head.parameters(), "lr": 1e-3}])
print("final loss", fit(net, opt, 150, 0.3, "all"))
