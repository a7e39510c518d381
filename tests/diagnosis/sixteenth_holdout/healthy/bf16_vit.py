"""Patch transformer under bfloat16 autocast; coarse numbers, fine training."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)


class ViT(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.patch = nn.Conv2d(1, d, 4, 4)
        self.pos = nn.Parameter(torch.randn(1, 9, d) * 0.02)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, 96, 0.0, batch_first=True, norm_first=True), 2, enable_nested_tensor=False)
        self.head = nn.Linear(d, 4)

    def forward(self, x):
        return self.head(self.enc(self.patch(x).flatten(2).mT + self.pos).mean(1))


def imgs(n):
    y = torch.randint(0, 4, (n,))
    g = torch.arange(12).float()
    a, b = g[None, :, None], g[None, None, :]
    ph = 6.28 * torch.rand(n, 1, 1)
    pats = torch.stack([torch.sin(a * 1.2 + b * 0 + ph), torch.sin(b * 1.2 + a * 0 + ph), torch.sin((a + b) * .9 + ph), torch.sin((a - b) * .9 + ph)], 1)
    return pats[torch.arange(n), y][:, None] + 0.5 * torch.randn(n, 1, 12, 12), y


net = ViT()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
rec = []
for s in range(350):
    x, y = imgs(48)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    rec.append(loss.item())
    if s % 35 == 0:
        print(f"step {s} loss {loss.item():.4f}")
print(f"final loss {sum(rec[-25:]) / 25:.5f}")
