"""Trains a GRU on sensor data with rare 1000x spikes, squashed with asinh, Huber loss, norm clipping and SGD."""
import math
import torch
import torch.nn as nn

torch.manual_seed(5)
N = 5000
s = torch.sin(torch.arange(N) * 2 * math.pi / 30) + 0.1 * torch.randn(N)
raw = s.clone()
raw[torch.randint(0, N, (12,))] *= 1000
z = torch.asinh(raw).clamp(-3, 3)
w = z.unfold(0, 25, 1)
g, o = nn.GRU(1, 24, batch_first=True), nn.Linear(24, 1)
ps = [*g.parameters(), *o.parameters()]
opt = torch.optim.SGD(ps, 0.1, momentum=0.9)
tail = []
for step in range(500):
    b = w[torch.randint(0, len(w), (32,))]
    loss = nn.functional.huber_loss(o(g(b[:, :-1, None])[0][:, -1]).squeeze(1), b[:, -1], delta=0.3)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(ps, 1.0)
    opt.step()
    tail.append(loss.item())
    if step % 70 == 0:
        print(step, round(loss.item(), 5))
print("final loss", round(sum(tail[-40:]) / 40, 5))
