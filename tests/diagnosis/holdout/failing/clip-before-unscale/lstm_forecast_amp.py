"""LSTM forecaster of a two-tone series with autocast, gradient accumulation, GradScaler and value clipping.

Cause: clip-before-unscale
Fails: element-wise clipping at 0.5 acts on gradients scaled by 2**16, the weights hardly move and the loss stays at the variance
"""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(101)
t = torch.arange(1500, dtype=torch.float32)
series = torch.sin(2 * math.pi * t / 18) + 0.5 * torch.sin(2 * math.pi * t / 7.3) + 0.05 * torch.randn(1500)
series = (series - series.mean()) / series.std()
win = series.unfold(0, 21, 1)
dl = DataLoader(TensorDataset(win[:, :20].unsqueeze(-1), win[:, 20:]), batch_size=32, shuffle=True, drop_last=True)


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.head(y[:, -1])


net = Forecaster()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
ACCUM = 2
losses = []
for epoch in range(5):
    for i, (x, y) in enumerate(dl):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pred = net(x)
        loss = nn.functional.mse_loss(pred.float(), y)
        scaler.scale(loss / ACCUM).backward()
        losses.append(loss.item())
        if (i + 1) % ACCUM == 0:
            # fix: scaler.unscale_(opt)
            nn.utils.clip_grad_value_(net.parameters(), 0.5)
            scaler.step(opt)
            scaler.update()
            opt.zero_grad()
    print(f"epoch {epoch} mse {sum(losses[-40:]) / 40:.4f}")
print("final loss", sum(losses[-10:]) / 10)
