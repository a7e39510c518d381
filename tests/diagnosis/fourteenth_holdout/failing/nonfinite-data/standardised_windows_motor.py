"""A conv net classifies motor states from windows that are each standardised when loaded.

Cause: nonfinite-data
Fails: good for 20 steps, then NaN
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class MotorWindows(Dataset):
    def __init__(self, count=1400):
        g = torch.Generator().manual_seed(91)
        t = torch.arange(64.0)
        self.label = torch.randint(0, 3, (count,), generator=g)
        speed = 0.15 + 0.2 * self.label[:, None] + 0.05 * torch.randn(count, 1, generator=g)
        self.signal = torch.sin(speed * t + 6.28 * torch.rand(count, 1, generator=g)) + 0.5 * torch.randn(count, 64, generator=g)
        self.signal[1234] = 3.0

    def __len__(self):
        return len(self.label)

    def __getitem__(self, i):
        w = self.signal[i]
        return (w - w.mean()) / w.std(), self.label[i]  # fix: return (w - w.mean()) / (w.std() + 1e-6), self.label[i]


class MotorNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Unflatten(1, (1, 64)),
            nn.Conv1d(1, 16, 9, stride=2), nn.BatchNorm1d(16), nn.ReLU(),
            nn.Conv1d(16, 16, 5, stride=2), nn.BatchNorm1d(16), nn.ReLU(),
            nn.Flatten(), nn.Linear(192, 3),
        )


def train_epoch(model, loader, optimizer):
    model.train()
    for x, label in loader:
        optimizer.zero_grad(set_to_none=False)
        loss = nn.functional.cross_entropy(model(x), label, label_smoothing=0.02)
        loss.backward()
        optimizer.step()
        yield loss.item()


torch.manual_seed(91)
train_set, valid_set = torch.utils.data.random_split(MotorWindows(), [1300, 100])
loader = DataLoader(train_set, batch_size=26, shuffle=True)
model = MotorNet()
optimizer = torch.optim.Adadelta(model.parameters(), lr=0.5)
losses = []
for epoch in range(5):
    losses.extend(train_epoch(model, loader, optimizer))
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(valid_set, 50))
    print(f"epoch {epoch} loss {losses[-1]:.4f} accuracy {right / 100:.2f}")
print("final loss", sum(losses[-20:]) / 20)
