"""Conv net on digits with cosine warm restarts: the loss jumps up at every restart."""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(0)
d = load_digits()
x, y = torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(d.target)
net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
opt = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9, weight_decay=1e-4, nesterov=True)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=60, T_mult=2)
hist = []
for it in range(420):
    i = torch.randint(len(x), (64,))
    loss = nn.functional.cross_entropy(net(x[i]), y[i], label_smoothing=0.05)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    hist.append(loss.item())
    if it % 30 == 0:
        print(it, sched.get_last_lr()[0], loss.item())
print("final loss", sum(hist[-30:]) / 30)
