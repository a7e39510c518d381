"""Tabular credit-score regression with a plain five-layer ReLU net.

Cause: dead-units
Fails: validation mse 1.002 after the first epoch and 1.000 (variance of the target) after twenty.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = {
    "layers": [10, 64, 64, 64, 64],
    "bias_start": -2.5,  # fix: "bias_start": 0.0,
    "lr": 1e-3,
    "batch": 64,
    "epochs": 20,
}


def applicants(n, rng):
    x = rng.standard_normal((n, 10)).astype(np.float32)
    y = np.sin(x[:, 0] * 1.5) + x[:, 1] * x[:, 2] * 0.6 + 0.5 * np.abs(x[:, 3]) - 0.4 * x[:, 4]
    y = y + 0.1 * rng.standard_normal(n)
    y = (y - y.mean()) / y.std()
    return torch.from_numpy(x), torch.from_numpy(y.astype(np.float32))


class CreditNet(nn.Module):
    def __init__(self, sizes, bias_start):
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.score = nn.Linear(sizes[-1], 1)
        for layer in self.hidden:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.constant_(layer.bias, bias_start)

    def forward(self, x):
        for layer in self.hidden:
            x = F.relu(layer(x))
        return self.score(x)[:, 0]


def main():
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    x, y = applicants(3000, rng)
    xv, yv = applicants(600, rng)
    net = CreditNet(CONFIG["layers"], CONFIG["bias_start"])
    opt = torch.optim.Adam(net.parameters(), lr=CONFIG["lr"])
    for epoch in range(CONFIG["epochs"]):
        net.train()
        for idx in torch.randperm(len(x)).split(CONFIG["batch"]):
            opt.zero_grad()
            F.mse_loss(net(x[idx]), y[idx]).backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            val = F.mse_loss(net(xv), yv).item()
        if epoch % 4 == 0:
            print("epoch", epoch, "val", val)
    print("final loss", val)


main()
