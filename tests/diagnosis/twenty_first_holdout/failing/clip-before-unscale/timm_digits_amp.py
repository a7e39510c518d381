"""Trains a small residual image classifier with the usual mixed-precision loop: gradient scaler, clipping, Nesterov SGD, cosine decay.

Cause: clip-before-unscale
Fails: the loss hardly moves from log(10)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(70)
torch.set_num_threads(1)
d = load_digits()
X = (torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16 - 0.3) / 0.38
Y = torch.tensor(d.target)


class Basic(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.n1, self.n2 = nn.GroupNorm(4, c), nn.GroupNorm(4, c)

    def forward(self, x):
        return F.relu(x + self.n2(self.c2(F.relu(self.n1(self.c1(x))))))


net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), Basic(16), nn.Conv2d(16, 32, 2, 2), Basic(32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
steps = 300
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
g = torch.Generator().manual_seed(2)
for step in range(steps):
    i = torch.randint(0, 1400, (32,), generator=g)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(X[i])
    loss = F.cross_entropy(out.float(), Y[i], label_smoothing=0.1)
    opt.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    # fix: scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    sched.step()
    if step % 30 == 0:
        print("step", step, "loss", round(loss.item(), 4))
net.eval()
with torch.no_grad():
    print("final loss", F.cross_entropy(net(X[1400:]), Y[1400:]).item())
