"""Float16 autocast with a GradScaler that starts far too high: it meets inf gradients, skips those steps and settles."""

import torch
import torch.nn as nn

torch.manual_seed(47)
net = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30, growth_interval=60)
centres = torch.randn(3, 12)
losses = []
for step in range(220):
    y = torch.randint(0, 3, (64,))
    x = centres[y] + 1.2 * torch.randn(64, 12)
    with torch.autocast("cpu", dtype=torch.float16):
        logits = net(x)
    loss = nn.functional.cross_entropy(logits.float(), y)
    opt.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    scaler.step(opt)
    scaler.update()
    losses.append(loss.item())
    if step % 40 == 0:
        print(step, loss.item(), "scale", scaler.get_scale())
print("final loss", sum(losses[-10:]) / 10)
