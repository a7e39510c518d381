"""Beat classification of synthetic ECG strips with a plain 1-D convolution stack.

Cause: vanishing-depth
Fails: final accuracy 0.2917 (with the fix 0.985)
"""
from torch.utils.data import DataLoader, IterableDataset
import torch
from torch import nn

STD = 0.02  # fix: STD = None


class Strips(IterableDataset):
    def __init__(self, n, seed):
        self.n, self.seed = n, seed

    def __iter__(self):
        g = torch.Generator().manual_seed(self.seed)
        t = torch.arange(64).float()
        for _ in range(self.n):
            k = int(torch.randint(0, 3, (1,), generator=g))
            c = 20 + 20 * torch.rand(1, generator=g)
            w = (2.0, 4.0, 2.0)[k]
            beat = torch.exp(-((t - c) / w) ** 2)
            if k == 2:
                beat = beat - 0.8 * torch.exp(-((t - c - 6) / w) ** 2)
            yield (2 * beat + 0.15 * torch.randn(64, generator=g))[None], k


def conv(i, o, stride):
    c = nn.Conv1d(i, o, 5, stride=stride, padding=2)
    if STD is None:
        nn.init.kaiming_normal_(c.weight, nonlinearity="relu")
    else:
        nn.init.normal_(c.weight, std=STD)
    nn.init.zeros_(c.bias)
    return c


torch.manual_seed(29)
mods = []
for k in range(10):
    mods += [conv(1 if k == 0 else 16, 16, 2 if k in (3, 6) else 1), nn.ReLU()]
net = nn.Sequential(*mods, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 3))
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9)
for epoch in range(5):
    for x, y in DataLoader(Strips(2400, 100 + epoch), batch_size=32):
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        opt.step()
    with torch.no_grad():
        x, y = next(iter(DataLoader(Strips(600, 1), batch_size=600)))
        acc = (net(x).argmax(1) == y).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} acc {acc:.3f}")
print("final accuracy", acc)
