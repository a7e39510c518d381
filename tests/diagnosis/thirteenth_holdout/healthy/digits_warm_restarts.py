"""Convnet with BatchNorm on digits, high rate SGD and cosine warm restarts."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


def get_loaders(bs):
    d = load_digits()
    ds = TensorDataset(torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 8 - 1, torch.tensor(d.target))
    tr, te = random_split(ds, [1400, 397], generator=torch.Generator().manual_seed(0))
    return DataLoader(tr, bs, shuffle=True), DataLoader(te, 397)


def cbr(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


torch.manual_seed(0)
train, test = get_loaders(40)
net = nn.Sequential(cbr(1, 16), cbr(16, 16), nn.MaxPool2d(2), cbr(16, 24), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(96, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.6, momentum=0.9, nesterov=True, weight_decay=2e-4)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=70, T_mult=2)
for epoch in range(14):
    net.train()
    run = 0.0
    for x, y in train:
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        run += loss.item()
    net.eval()
    with torch.no_grad():
        (x, y), = test
        out = net(x)
        vl, acc = nn.functional.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()
    print(f"epoch {epoch} lr {opt.param_groups[0]['lr']:.3f} train {run / len(train):.3f} val {vl:.3f} acc {acc:.3f}")
print("final loss", vl)
