"""A dilated causal conv net forecasts a sunspot-like cycle in float16 autocast; the loss is scaled by hand.

Cause: clip-before-unscale
Fails: the loss stays at 1.0, where it began
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(0)
SCALE = 4096.0

# %% data
t = torch.arange(3000.0)
series = (torch.sin(2 * math.pi * t / 66) * (1 + 0.4 * torch.sin(2 * math.pi * t / 480))).abs() + 0.05 * torch.randn(3000)
series = (series - series.mean()) / series.std()
windows = series.unfold(0, 65, 1)

# %% model
class Causal(nn.Module):
    def __init__(self, cin, cout, dilation):
        super().__init__()
        self.pad = dilation
        self.conv = nn.Conv1d(cin, cout, 2, dilation=dilation)

    def forward(self, x):
        return self.conv(nn.functional.pad(x, (self.pad, 0)))

net = nn.Sequential(
    Causal(1, 16, 1), nn.ReLU(),
    Causal(16, 16, 2), nn.ReLU(),
    Causal(16, 16, 4), nn.ReLU(),
    Causal(16, 16, 8), nn.ReLU(),
    Causal(16, 16, 16), nn.ReLU(),
    nn.Conv1d(16, 1, 1),
)
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)

# %% training
def unscale():
    for p in net.parameters():
        p.grad.div_(SCALE)

def clip(limit=1.0):
    total = torch.sqrt(sum(p.grad.pow(2).sum() for p in net.parameters()))
    if total > limit:
        for p in net.parameters():
            p.grad.mul_(limit / total)

losses = []
for step in range(200):
    w = windows[torch.randint(0, len(windows), (16,))]
    opt.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        forecast = net(w[:, None, :-1])
    loss = nn.functional.mse_loss(forecast.float()[:, 0, 20:], w[:, 21:])
    (loss * SCALE).backward()
    clip(); unscale()  # fix: unscale(); clip()
    opt.step()
    losses.append(loss.item())
    if step % 40 == 0:
        print(step, losses[-1])

print("final loss", sum(losses[-20:]) / 20)
