"""Trains the sub-pixel convolution network of the PyTorch super-resolution example on synthetic textures with SGD.

Cause: loss-scale
Fails: the loss is NaN after a few steps
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(123)
torch.set_num_threads(1)


def textures(n, g):
    yy, xx = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    out = []
    for _ in range(n):
        a = torch.rand(6, generator=g)
        img = 0.5 + 0.2 * torch.sin(a[0] * 0.8 * xx + a[1] * 0.8 * yy + 6 * a[2]) + 0.15 * torch.sign(torch.sin(a[3] * xx * 0.5 - a[4] * yy * 0.5 + 6 * a[5]))
        out.append(img)
    return torch.stack(out).unsqueeze(1)


class Net(nn.Module):
    def __init__(self, upscale):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, 1, 2), nn.Conv2d(32, 32, 3, 1, 1)
        self.conv3, self.conv4 = nn.Conv2d(32, 16, 3, 1, 1), nn.Conv2d(16, upscale ** 2, 3, 1, 1)
        self.shuffle = nn.PixelShuffle(upscale)
        for c in (self.conv1, self.conv2, self.conv3):
            nn.init.orthogonal_(c.weight, nn.init.calculate_gain("relu"))
        nn.init.orthogonal_(self.conv4.weight)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.shuffle(self.conv4(F.relu(self.conv3(x))))


g = torch.Generator().manual_seed(4)
hr, hr_test = textures(600, g), textures(100, g)
lr_img, lr_test = F.avg_pool2d(hr, 2), F.avg_pool2d(hr_test, 2)
model = Net(2)
criterion = nn.MSELoss(reduction="sum")  # fix: criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for it in range(400):
    i = torch.randint(0, 600, (8,), generator=g)
    optimizer.zero_grad()
    loss = criterion(model(lr_img[i]), hr[i])
    loss.backward()
    optimizer.step()
    if it % 50 == 0:
        print("iteration", it, "loss", round(loss.item(), 5))
with torch.no_grad():
    print("final loss", F.mse_loss(model(lr_test), hr_test).item())
