"""Bag-of-embeddings news classifier with float16 autocast; the GradScaler starts far too high and skips its first steps."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(48)
rng = np.random.default_rng(48)
V, C, L = 800, 8, 40
topic = rng.dirichlet(np.full(V, 0.08), C)


def batch(n):
    y = rng.integers(0, C, n)
    x = np.stack([rng.choice(V, L, p=0.35 * topic[k] + 0.65 / V) for k in y])
    return torch.tensor(x), torch.tensor(y)


class News(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.bag = nn.EmbeddingBag(V, d, mode="mean")
        self.mlp = nn.Sequential(nn.Linear(d, 96), nn.ReLU(), nn.Linear(96, C))

    def forward(self, x):
        return self.mlp(self.bag(x) * 4)


net = News()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 28, growth_interval=60)
hist = []
for step in range(300):
    x, y = batch(64)
    opt.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        logits = net(x)
    loss = F.cross_entropy(logits.float(), y)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    hist.append(loss.item())
    if step % 30 == 0:
        print(step, round(loss.item(), 4), "scale", scaler.get_scale())
print("final loss", float(np.mean(hist[-20:])))
