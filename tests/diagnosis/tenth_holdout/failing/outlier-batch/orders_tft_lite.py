"""Small transformer that forecasts standardised order volumes of a web shop; orders come from the ERP export.

Cause: outlier-batch
Fails: the loss is not finite from step 171 on
"""
import math
import random
import torch
import torch.nn as nn


def build_orders(n_sku=40, days=400):
    g = torch.Generator().manual_seed(8)
    t = torch.arange(days).float()
    level = torch.rand(n_sku, 1, generator=g) * 40 + 20
    phase = torch.rand(n_sku, 1, generator=g) * 7
    y = level * (1 + 0.4 * torch.sin(2 * math.pi * (t + phase) / 7) + 0.2 * torch.sin(2 * math.pi * t / 91))
    y = y + torch.randn(n_sku, days, generator=g) * 0.08 * level
    mu, sd = y.mean(1, keepdim=True), y.std(1, keepdim=True)
    raw = y.round()
    raw[17, 233] = 4.0e9
    return (raw - mu) / sd


class Forecast(nn.Module):
    def __init__(self, d=48, ctx=28):
        super().__init__()
        self.inp = nn.Linear(1, d)
        self.pos = nn.Parameter(torch.randn(ctx, d) * 0.1)
        layer = nn.TransformerEncoderLayer(d, 4, 96, dropout=0.0, batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(d, 1)

    def forward(self, x):
        return self.out(self.enc(self.inp(x.unsqueeze(-1)) + self.pos)[:, -1]).squeeze(-1)


def main():
    torch.manual_seed(8)
    random.seed(8)
    series = build_orders()
    # fix: series = series.clamp(-6, 6)
    ctx, horizon_start = 28, 28
    net = Forecast()
    opt = torch.optim.SGD(net.parameters(), lr=0.003, momentum=0.9, nesterov=True)
    samples = [(s, d) for s in range(series.shape[0]) for d in range(horizon_start, series.shape[1])]
    random.shuffle(samples)
    seen = []
    for step in range(320):
        chunk = samples[step * 40:(step + 1) * 40]
        x = torch.stack([series[s, d - ctx:d] for s, d in chunk])
        y = torch.stack([series[s, d] for s, d in chunk])
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        seen.append(loss.item())
        if step % 40 == 0:
            print("step", step, "loss", seen[-1])
    print("final loss", sum(seen[-10:]) / 10)


main()
