"""Image retrieval head: GeM pooling with a learnable exponent over ReLU feature maps.

Cause: unsafe-op
Fails: the p-th root of a channel that is zero everywhere has an infinite derivative, gradients become nan within the first steps
First bad: step 0, backward, aten.log, PowBackward1
"""

import torch
import torch.nn as nn
import torch.nn.functional as F


class GeM(nn.Module):
    """Generalised-mean pooling, f = mean(x^p)^(1/p)."""

    def __init__(self, p=3.0, eps=1e-6):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = eps

    def forward(self, x):
        x = x.clamp(min=0.0)  # fix: x = x.clamp(min=1e-3)
        return x.pow(self.p).mean(dim=(-2, -1)).pow(1.0 / self.p)


class Embedder(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
        )
        self.pool = GeM()
        self.classifier = nn.Linear(32, n_classes)

    def forward(self, x):
        return self.classifier(self.pool(self.backbone(x)))


def blobs(n, k=6, size=12):
    y = torch.randint(0, k, (n,))
    r = torch.arange(size).float()
    angle = y * 1.0472
    stripes = torch.sin(
        r[None, :, None] * angle.cos()[:, None, None] * 1.3 + r[None, None, :] * angle.sin()[:, None, None] * 1.3
    )
    window = torch.exp(-((r[None, :, None] - 6) ** 2 + (r[None, None, :] - 6) ** 2) / 14.0)
    return (stripes * window + 0.1 * torch.randn(n, size, size)).unsqueeze(1), y


if __name__ == "__main__":
    torch.manual_seed(70)
    model = Embedder(6)
    params = [
        {"params": [p for n, p in model.named_parameters() if n != "pool.p"]},
        {"params": [model.pool.p], "lr": 1e-3},
    ]
    opt = torch.optim.AdamW(params, lr=3e-3)
    log = []
    for it in range(200):
        x, y = blobs(48)
        loss = F.cross_entropy(model(x), y, label_smoothing=0.02)
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())
    print("final loss", sum(log[-10:]) / 10)
