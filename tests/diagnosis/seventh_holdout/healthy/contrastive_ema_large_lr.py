"""Momentum-encoder contrastive learning of sensor windows (queue of negatives), SGD with a bold rate and OneCycle; loss first rises as the queue fills."""
import copy
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class Enc(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(2, 24, 7, 2, 3), nn.BatchNorm1d(24), nn.ReLU(), nn.Conv1d(24, 32, 5, 2, 2), nn.BatchNorm1d(32), nn.ReLU(),
                                 nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(64, 16))

    def forward(self, x):
        return F.normalize(self.net(x), dim=1, eps=1e-6)


def signals(n, rng):
    t = np.arange(48) / 48
    f, g = rng.uniform(1, 8, (n, 1)), rng.uniform(1, 8, (n, 1))
    return f, g, t


def view(f, g, t, rng):
    n = len(f)
    x = np.stack([np.sin(2 * np.pi * (f * t + rng.random((n, 1)))), np.sin(2 * np.pi * (g * t + rng.random((n, 1))))], 1)
    return torch.tensor(x * rng.uniform(0.7, 1.3, (n, 1, 1)) + 0.1 * rng.standard_normal(x.shape), dtype=torch.float32)


def main():
    torch.manual_seed(11)
    rng = np.random.default_rng(11)
    q = Enc()
    k = copy.deepcopy(q)
    for p in k.parameters():
        p.requires_grad_(False)
    opt = torch.optim.SGD(q.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-4)
    steps = 800
    sch = torch.optim.lr_scheduler.OneCycleLR(opt, 0.5, total_steps=steps, pct_start=0.2)
    queue = torch.zeros(0, 16)
    hist = []
    for s in range(steps):
        f, g, t = signals(32, rng)
        zq = q(view(f, g, t, rng))
        with torch.no_grad():
            for a, b in zip(k.parameters(), q.parameters()):
                a.mul_(0.99).add_(b, alpha=0.01)
            zk = k(view(f, g, t, rng))
        logits = torch.cat([(zq * zk).sum(1, keepdim=True), zq @ queue.t()], 1) / 0.1
        logits = logits if len(queue) else torch.cat([logits, zq @ zk.roll(1, 0).t() / 0.1], 1)
        loss = F.cross_entropy(logits, torch.zeros(32, dtype=torch.long))
        opt.zero_grad(); loss.backward(); opt.step(); sch.step()
        queue = torch.cat([zk, queue])[:256]
        hist.append(loss.item())
        if s % 80 == 0:
            print(f"step {s} queue {len(queue)} loss {loss.item():.4f} lr {sch.get_last_lr()[0]:.3f}")
    print("final loss", float(np.mean(hist[-40:])))


main()
