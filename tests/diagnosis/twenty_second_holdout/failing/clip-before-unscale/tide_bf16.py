"""Harmonic tide gauge series with surge, GRU forecaster under bf16 autocast with a static loss scale and plain SGD.

Cause: clip-before-unscale
"""
import math
import torch
import torch.nn as nn

torch.set_num_threads(1)
torch.manual_seed(55)

# M2, S2, K1, O1 constituents, hourly
PERIODS = torch.tensor([12.4206, 12.0, 23.9345, 25.8193])
AMPS = torch.tensor([1.0, 0.45, 0.3, 0.25])
N = 8000
t = torch.arange(N).float()
tide = (AMPS[:, None] * torch.cos(2 * math.pi * t / PERIODS[:, None] + torch.rand(4, 1) * 6.28)).sum(0)
surge = torch.zeros(N)
for i in range(1, N):
    surge[i] = 0.97 * surge[i - 1] + 0.06 * torch.randn(())
level = tide + surge

IN, OUT = 48, 6


class Gauge(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(1, 32, batch_first=True)
        self.fc = nn.Linear(32, OUT)

    def forward(self, x):
        _, h = self.rnn(x.unsqueeze(-1))
        return self.fc(h[-1])


net = Gauge()
params = list(net.parameters())
opt = torch.optim.SGD(params, lr=0.05, momentum=0.9)
SCALE = 2.0 ** 14
MAX_NORM = 1.0
losses = []
for step in range(500):
    s = torch.randint(0, N - IN - OUT, (24,))
    x = torch.stack([level[i:i + IN] for i in s])
    y = torch.stack([level[i + IN:i + IN + OUT] for i in s])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(x)
    loss = nn.functional.mse_loss(out.float(), y)
    opt.zero_grad()
    (loss * SCALE).backward()
    nn.utils.clip_grad_norm_(params, MAX_NORM)  # fix: nn.utils.clip_grad_norm_(params, MAX_NORM * SCALE)
    for p in params:
        p.grad.div_(SCALE)
    opt.step()
    losses.append(loss.item())
    if step % 50 == 0:
        print(f"step {step}  mse {loss.item():.4f}")
print("final loss", sum(losses[-20:]) / len(losses[-20:]))
