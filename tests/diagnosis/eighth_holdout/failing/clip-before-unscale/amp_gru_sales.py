"""GRU on weekly store sales, bf16 autocast with a gradient scaler carried over from the GPU script.

Cause: clip-before-unscale
Fails: the loss stays at its start, 0.41 at first, 0.45 at the end (with the fix 0.016)
"""
import argparse

import torch
from torch import nn


def store_sales(stores, weeks):
    t = torch.arange(weeks).float()
    season = torch.sin(2 * torch.pi * t / 52 + 6.28 * torch.rand(stores, 1))
    promo = (torch.rand(stores, weeks) < 0.15).float()
    level = torch.cumsum(0.05 * torch.randn(stores, weeks), 1)
    sales = season + 1.5 * promo + level + 0.1 * torch.randn(stores, weeks)
    sales = (sales - sales.mean(1, keepdim=True)) / sales.std(1, keepdim=True)
    return torch.stack([sales, promo], -1)


class SalesNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 48, num_layers=2, batch_first=True)
        self.out = nn.Linear(48, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0]).squeeze(-1)


def run(args):
    torch.manual_seed(args.seed)
    data = store_sales(120, 260)
    model = SalesNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)
    window = []
    for step in range(1, args.steps + 1):
        rows = torch.randint(0, 120, (32,))
        s = int(torch.randint(0, 260 - 31, (1,)))
        chunk = data[rows, s:s + 31]
        x = torch.cat([chunk[:, :-1], chunk[:, 1:, 1:]], -1)
        y = chunk[:, 1:, 0]
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            pred = model(x)
        loss = nn.functional.smooth_l1_loss(pred.float(), y)
        scaler.scale(loss).backward()
        # fix: scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        scaler.step(optimizer)
        scaler.update()
        window = (window + [loss.item()])[-25:]
        if step % 50 == 0:
            print(f"[{step}] {sum(window) / len(window):.4f}")
    return sum(window) / len(window)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--steps", type=int, default=250)
    p.add_argument("--lr", type=float, default=0.1)
    p.add_argument("--clip", type=float, default=1.0)
    p.add_argument("--seed", type=int, default=3)
    print("final loss", run(p.parse_args()))
