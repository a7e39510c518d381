"""Contrastive pre-training (NT-Xent) on digits with a temperature of 0.1; logits of ten, diagonal -inf."""
import torch
from torch import nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(0)
imgs = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16


def augment(b):
    b = F.pad(b, (1, 1, 1, 1))
    dx, dy = torch.randint(0, 3, (2,)).tolist()
    b = b[:, :, dy:dy + 8, dx:dx + 8]
    return b * (0.6 + 0.8 * torch.rand(len(b), 1, 1, 1)) + 0.1 * torch.randn_like(b)


enc = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
                    nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 32))
opt = torch.optim.AdamW(enc.parameters(), lr=2e-3, weight_decay=1e-2)
hist = []
for step in range(300):
    b = imgs[torch.randint(len(imgs), (96,))]
    z = F.normalize(torch.cat([enc(augment(b)), enc(augment(b))]))
    sim = (z @ z.T / 0.1).masked_fill(torch.eye(192, dtype=torch.bool), float("-inf"))
    target = torch.cat([torch.arange(96) + 96, torch.arange(96)])
    loss = F.cross_entropy(sim, target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", sum(hist[-20:]) / 20)
