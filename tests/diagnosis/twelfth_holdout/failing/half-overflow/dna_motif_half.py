"""Motif detection in short DNA reads, windowed MLP with max pooling, whole model in half precision.

Cause: half-overflow
Fails: final accuracy 0.503 (with the fix 0.99)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)
EPS = 1e-8  # fix: EPS = 1e-4
SEQ, BATCH, STEPS, K = 24, 64, 200, 6
motif = torch.tensor([0, 2, 2, 1, 3])


def batch(n):
    x = torch.randint(4, (n, SEQ))
    y = torch.randint(2, (n,))
    for i in torch.nonzero(y).flatten().tolist():
        s = int(torch.randint(SEQ - 5, (1,)))
        x[i, s:s + 5] = motif
    return F.one_hot(x, 4).half(), y


class MotifNet(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.window = nn.Linear(4 * K, width)
        self.mix = nn.Linear(width, width)
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        w = x.unfold(1, K, 1).flatten(2)
        h = torch.relu(self.window(w))
        h = torch.relu(self.mix(h))
        return self.out(h.amax(1))


def predict(net, x):
    out = net(x).float()
    return out[:, 1] > out[:, 0]


model = MotifNet().half()
print("parameters", sum(p.numel() for p in model.parameters()))
opt = torch.optim.Adam(model.parameters(), lr=4e-3, eps=EPS)
ema = 0.69
for it in range(STEPS):
    x, y = batch(BATCH)
    loss = F.cross_entropy(model(x).float(), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema = 0.95 * ema + 0.05 * loss.item()
    if it % 40 == 39:
        print(f"{it + 1:4d} {ema:.4f}")

with torch.no_grad():
    x, y = batch(1000)
    acc = (predict(model, x) == (y == 1)).float().mean()
print("param norm", sum(p.float().norm() ** 2 for p in model.parameters()).sqrt().item())
print(f"final accuracy {acc:.4f}")
