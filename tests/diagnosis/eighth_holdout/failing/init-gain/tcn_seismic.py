"""Dilated causal TCN picking the arrival time in seismic traces (ported from a Keras notebook).

Cause: init-gain
Fails: the loss is not finite from step 2 on
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = 5
np.random.seed(SEED)
torch.manual_seed(SEED)

LENGTH, FILTERS, LEVELS = 128, 32, 7


def traces(n):
    x = np.random.randn(n, LENGTH) * 0.3
    onset = np.random.randint(20, 100, n)
    t = np.arange(LENGTH)
    for i, o in enumerate(onset):
        k = np.clip(t - o, 0, None)
        x[i] += (t >= o) * np.exp(-k / 15) * np.sin(k * 0.9) * np.random.uniform(1.5, 3)
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor((onset - 60) / 25, dtype=torch.float32)


def random_normal(layer):
    nn.init.normal_(layer.weight, 0.0, 0.4)  # fix: nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class CausalConv(nn.Module):
    def __init__(self, cin, cout, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = random_normal(nn.Conv1d(cin, cout, 3, dilation=dilation))

    def forward(self, x):
        return F.relu(self.conv(F.pad(x, (self.pad, 0))))


layers = [CausalConv(1 if i == 0 else FILTERS, FILTERS, 2 ** min(i, 5)) for i in range(LEVELS)]
model = nn.Sequential(*layers, nn.AdaptiveAvgPool1d(8), nn.Flatten(), nn.Linear(FILTERS * 8, 1))
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

losses = []
for step in range(200):
    x, y = traces(24)
    loss = F.mse_loss(model(x)[:, 0], y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print("step", step, "mse", losses[-1])
print("final loss", float(np.mean(losses[-20:])))
