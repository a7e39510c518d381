"""Mixed-precision (float16 autocast) training of a symbol classifier with GradScaler.

Cause: clip-before-unscale
Fails: gradients are clipped to norm 1 while still multiplied by the loss scale, so after
unscaling nothing is left of them; the loss does not move.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(59)
glyph = (torch.rand(10, 1, 10, 10) > 0.5).float()
lab = torch.randint(0, 10, (2400,))
img = glyph[lab] + 0.6 * torch.randn(2400, 1, 10, 10)

net = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 24, 3, stride=2), nn.ReLU(),
                    nn.Flatten(), nn.Linear(24 * 9, 64), nn.ReLU(), nn.Linear(64, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=8192.0)
for epoch in range(7):
    m = 0.0
    for b in torch.randperm(2400).split(48):
        with torch.autocast("cpu", dtype=torch.float16):
            out = net(img[b])
        loss = F.cross_entropy(out.float(), lab[b])
        opt.zero_grad()
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)  # fix: scaler.unscale_(opt); nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
        m += loss.item() / 50
    print(f"epoch {epoch} loss {m:.4f} scale {scaler.get_scale():.0f}")
print(f"final loss {m:.5f}")
