"""A convolutional regressor of blob counts with cosine warm restarts.

Looks nasty: every restart throws the rate back to its top, and the loss jumps up and comes back.
"""
import torch
from torch import nn

torch.manual_seed(8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.fc = nn.Linear(16, 1)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))[:, 0]


def blobs(n):
    k = torch.randint(0, 7, (n,))
    img = 0.1 * torch.randn(n, 1, 16, 16)
    for i in range(n):
        for _ in range(int(k[i])):
            r, c = torch.randint(0, 14, (2,)).tolist()
            img[i, 0, r:r + 2, c:c + 2] += 1
    return img, k.float()


X, Y = blobs(1500)
model = Net()
opt = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.9)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=94, T_mult=2)
hist = []
for ep in range(14):
    for b in torch.randperm(1500).split(32):
        loss = nn.functional.mse_loss(model(X[b]), Y[b])
        opt.zero_grad(); loss.backward(); opt.step(); sched.step()
        hist.append(loss.item())
        if len(hist) % 40 == 1:
            print("step", len(hist), "loss %.3f" % loss.item(), "lr %.4f" % sched.get_last_lr()[0])
print("final loss", sum(hist[-47:]) / 47)
