"""A GRU under float16 autocast finds the period of noisy waves; Adam with a large eps, value clipping, loader epochs.

Cause: clip-before-unscale
Fails: stays at 1.10
"""

import math

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Waves(Dataset):
    def __init__(self, count=512, length=20):
        self.kind = torch.randint(0, 3, (count, 1))
        t = torch.arange(length)
        period = torch.tensor([4.0, 6.0, 9.0])[self.kind]
        self.wave = torch.sin(2 * math.pi * (t / period + torch.rand(count, 1)))
        self.wave += 0.3 * torch.randn(count, length)

    def __len__(self):
        return len(self.kind)

    def __getitem__(self, i):
        return self.wave[i].unsqueeze(1), self.kind[i, 0]


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 32, batch_first=True)
        self.fc = nn.Linear(32, 3)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.fc(out.mean(1))


def train_epoch(model, loader, optimizer, scaler):
    losses = []
    for x, y in loader:
        with torch.autocast(device_type="cpu", dtype=torch.float16):
            loss = nn.functional.cross_entropy(model(x).float(), y)
        scaler.scale(loss).backward()
        # fix: scaler.unscale_(optimizer)
        nn.utils.clip_grad_value_(model.parameters(), 0.1)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


torch.manual_seed(90)
model = Reader()
loader = DataLoader(Waves(), batch_size=32, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, eps=1e-3)
scaler = torch.amp.GradScaler("cpu")
history = []
for epoch in range(12):
    history += train_epoch(model, loader, optimizer, scaler)
    print("epoch", epoch, "loss", history[-1], "scale", scaler.get_scale())
print("final loss", sum(history[-10:]) / 10)
