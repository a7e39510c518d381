"""Card fraud MLP with rare positives; the head starts at the log-odds of the base rate.

Cause: dead-units
Fails: the loss stays at that of a constant guess (0.254; a constant gives 0.254)
"""
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
rng = np.random.default_rng(9)
n = 12000
X = rng.normal(size=(n, 16)).astype(np.float32)
risk = 1.5 * X[:, 0] * (X[:, 1] > 0) + 1.2 * np.abs(X[:, 2]) + X[:, 3]
y = (risk > np.quantile(risk, 0.93)).astype(np.float32)
X, y = torch.from_numpy(X), torch.from_numpy(y)


class FraudNet(nn.Module):
    def __init__(self, widths=(16, 64, 64, 32)):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:]))
        self.head = nn.Linear(widths[-1], 1)
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            prior = math.log(0.07 / 0.93)  # fix: prior = math.log(0.07 / 0.93) if m.out_features == 1 else 0.0
            nn.init.constant_(m.bias, prior)

    def forward(self, x):
        for l in self.hidden:
            x = F.relu(l(x))
        return self.head(x).squeeze(-1)


net = FraudNet()
opt = torch.optim.Adagrad(net.parameters(), lr=0.02)
hist = []
for epoch in range(6):
    for b in torch.randperm(n).split(96):
        loss = F.binary_cross_entropy_with_logits(net(X[b]), y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
    print("epoch", epoch, float(np.mean(hist[-125:])))
print("final loss", float(np.mean(hist[-125:])))
