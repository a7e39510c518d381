"""Half-precision conv autoencoder; the gradient scaler starts far too high and grows fast, so it skips steps now and then.
"""
import torch
import torch.nn as nn

torch.manual_seed(26)


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
        self.d = nn.Sequential(nn.ConvTranspose2d(16, 8, 2, 2), nn.ReLU(), nn.ConvTranspose2d(8, 1, 2, 2))

    def forward(self, x):
        return self.d(self.e(x))


def blobs(n, s=16):
    g = torch.linspace(-1, 1, s)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    p = torch.rand(n, 4, 1, 1) * 2 - 1
    return (torch.sin(3 * p[:, 0] * xx + 3 * p[:, 1] * yy) * torch.exp(-2 * (xx - p[:, 2]) ** 2))[:, None] + 0.2 * p[:, 3:4]


net = AE()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 30, growth_interval=25)
hist, skipped = [], 0
for step in range(350):
    x = blobs(24)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(x)
    loss = (out.float() - x).pow(2).mean()
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    before = scaler.get_scale()
    scaler.step(opt)
    scaler.update()
    skipped += scaler.get_scale() < before
    hist.append(loss.item())
    if step % 35 == 0:
        print(step, f"mse {loss.item():.5f} scale {scaler.get_scale():.0f} skipped {skipped}")
print("final loss", sum(hist[-15:]) / 15)
