"""Trains a siamese network with contrastive loss on pairs of scikit-learn digits.

Cause: unsafe-op
Fails: after some dozens of steps the loss turns NaN and stays so
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(2)
torch.set_num_threads(1)
d = load_digits()
X = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16
Y = torch.tensor(d.target)
Xt, Yt, Xv, Yv = X[:1400], Y[:1400], X[1400:], Y[1400:]
by_class = [torch.where(Yt == c)[0] for c in range(10)]


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 8))

    def forward(self, a, b):
        za, zb = self.fc(self.cnn(torch.cat([a, b]))).chunk(2)
        return za, zb


def contrastive(za, zb, same, margin=2.0):
    dist = ((za - zb) ** 2).sum(1).sqrt()  # fix: dist = (((za - zb) ** 2).sum(1) + 1e-8).sqrt()
    return (same * dist ** 2 + (1 - same) * F.relu(margin - dist) ** 2).mean()


def pairs(n, g):
    a = torch.randint(0, len(Xt), (n,), generator=g)
    b = torch.randint(0, len(Xt), (n,), generator=g)
    for k in range(0, n, 2):
        pool = by_class[int(Yt[a[k]])]
        b[k] = pool[int(torch.randint(0, len(pool), (1,), generator=g))]
    return Xt[a], Xt[b], (Yt[a] == Yt[b]).float()


net = SiameseNetwork()
opt = torch.optim.Adam(net.parameters(), lr=5e-4)
g = torch.Generator().manual_seed(9)
for step in range(500):
    a, b, same = pairs(16, g)
    loss = contrastive(*net(a, b), same)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
net.eval()
with torch.no_grad():
    a, b = torch.arange(0, 396), torch.arange(1, 397)
    print("final loss", contrastive(*net(Xv[a], Xv[b]), (Yv[a] == Yv[b]).float()).item())
