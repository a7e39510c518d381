"""Estimates depth (non-negative) from synthetic stereo pairs with a conv net that ends in a ReLU.

Cause: dead-units
Fails: the head's bias starts below everything its weights can reach; the output ReLU is off for all pixels for good
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)


class StereoNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(2, 16, (1, 9), padding=(0, 4))
        self.c2 = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 1, 1)
        nn.init.constant_(self.head.bias, -2.0)  # start from "far away", depth near zero

    def forward(self, pair):
        h = F.relu(self.c1(pair))
        h = F.relu(self.c2(h))
        return F.relu(self.head(h))  # fix: return F.softplus(self.head(h))


def batch(n=24, h=8, w=24):
    tex = torch.randn(n, h, w + 4)
    disp = torch.randint(0, 5, (n,))
    left = tex[:, :, :w]
    right = torch.stack([tex[i, :, k:k + w] for i, k in enumerate(disp)])
    return torch.stack([left, right], 1), (disp.float() / 2).view(n, 1, 1, 1).expand(n, 1, h, w)


model = StereoNet()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
losses = []
for i in range(400):
    pair, depth = batch()
    pred = model(pair)
    loss = F.smooth_l1_loss(pred, depth)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if i % 50 == 0:
        print(f"step {i:4d}  smooth-l1 {loss.item():.4f}")
print("final loss", sum(losses[-20:]) / 20)
