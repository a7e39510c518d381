"""GRU on quarter-hour building energy with a GradScaler training loop and float16 autocast.

Cause: clip-before-unscale
Fails: the mse stays where it began (1.26 at the start, 1.19 at the end)
"""
import argparse
import numpy as np
import torch
import torch.nn as nn

ap = argparse.ArgumentParser()
ap.add_argument("--hidden", type=int, default=32)
ap.add_argument("--clip", type=float, default=1.0)
ap.add_argument("--steps", type=int, default=250)
ap.add_argument("--lr", type=float, default=0.05)
a = ap.parse_args()
torch.manual_seed(17)
rng = np.random.default_rng(17)

t = np.arange(96 * 60)
occ = ((t % 96 > 32) & (t % 96 < 72) & ((t // 96) % 7 < 5)).astype(float)
kw = 40 + 65 * occ + 12 * np.sin(2 * np.pi * t / 96) + rng.normal(0, 4, len(t))
kw = torch.tensor((kw - kw.mean()) / kw.std(), dtype=torch.float32)
tod = torch.tensor(np.stack([np.sin(2 * np.pi * t / 96), np.cos(2 * np.pi * t / 96)], 1), dtype=torch.float32)
series = torch.cat([kw[:, None], tod], 1)


class Net(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.embed = nn.Linear(3, h)
        self.rnn = nn.GRU(h, h, batch_first=True)
        self.head = nn.Sequential(nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 1))

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            e = self.embed(x)
        o, _ = self.rnn(e.float())
        with torch.autocast("cpu", dtype=torch.float16):
            return self.head(o[:, -1]).squeeze(-1)


net = Net(a.hidden)
optimizer = torch.optim.SGD(net.parameters(), lr=a.lr, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 15)
vals = []
for step in range(a.steps):
    i = torch.randint(0, len(series) - 49, (32,))
    x = torch.stack([series[j:j + 48] for j in i])
    y = kw[i + 48]
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(x).float(), y)
    scaler.scale(loss).backward()
    # fix: scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(net.parameters(), a.clip)
    scaler.step(optimizer)
    scaler.update()
    vals.append(loss.item())
    if step % 50 == 0:
        print("step", step, "mse", vals[-1], "scale", scaler.get_scale())
print("final loss", float(np.mean(vals[-20:])))
