"""Trains a small ViT on scikit-learn digits in half precision with a gradient scaler whose scale starts too high (first steps skipped), clipping after unscaling, EMA and label smoothing."""
import copy
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(10)
torch.set_num_threads(1)
d = load_digits()
X = (torch.tensor(d.images, dtype=torch.float32) / 16 - 0.3) / 0.38
X = X.unfold(1, 2, 2).unfold(2, 2, 2).reshape(len(X), 16, 4)
Y = torch.tensor(d.target)


class ViT(nn.Module):
    def __init__(self, D=48):
        super().__init__()
        self.proj, self.cls, self.pos = nn.Linear(4, D), nn.Parameter(torch.zeros(1, 1, D)), nn.Parameter(torch.randn(17, D) * 0.02)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(D, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(1)])
        self.norm, self.head = nn.LayerNorm(D), nn.Linear(D, 10)

    def forward(self, x):
        x = self.proj(x)
        x = torch.cat([self.cls.expand(len(x), -1, -1).to(x.dtype), x], 1) + self.pos
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x[:, 0]))


net = ViT()
ema = copy.deepcopy(net).requires_grad_(False)
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 24, growth_interval=100)
g = torch.Generator().manual_seed(5)
for step in range(260):
    i = torch.randint(0, 1400, (32,), generator=g)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(X[i])
    loss = F.cross_entropy(out.float(), Y[i], label_smoothing=0.1)
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    with torch.no_grad():
        for a, b in zip(ema.parameters(), net.parameters()):
            a.lerp_(b, 0.05)
    if step % 30 == 0:
        print("step", step, "loss", round(loss.item(), 4), "scale", scaler.get_scale())
ema.eval()
with torch.no_grad():
    print("final loss", F.cross_entropy(ema(X[1400:]), Y[1400:]).item())
