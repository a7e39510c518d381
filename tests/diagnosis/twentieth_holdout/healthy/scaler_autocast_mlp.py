"""Half-precision training with a gradient scaler whose first steps are skipped until the scale fits; weights then clipped well."""
import torch
from torch import nn
from sklearn.datasets import load_digits

torch.manual_seed(13)
d = load_digits()
p = torch.randperm(len(d.target))
X, Y = torch.tensor(d.data, dtype=torch.float32)[p] / 16, torch.tensor(d.target)[p]
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 24, growth_interval=60)
for step in range(500):
    i = torch.randint(0, 1500, (48,))
    opt.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = nn.functional.cross_entropy(net(X[i]).float(), Y[i])
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    if step % 50 == 0:
        print(step, loss.item(), scaler.get_scale())
with torch.no_grad():
    print("final loss", nn.functional.cross_entropy(net(X[1500:]), Y[1500:]).item())
