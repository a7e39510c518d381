"""Short-term load forecasting from smart meters; GRU-free temporal conv net, plain momentum SGD with EMA weights for evaluation.

Cause: outlier-batch
Fails: the loss is not finite from backward call 100 on (counted from 0, of 320); the final value is nan
"""
import copy
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class MeterWindows(Dataset):
    ROLLOVER = 99999.0

    def __init__(self, n, window=32, seed=0):
        g = torch.Generator().manual_seed(seed)
        t = torch.arange(window + 1).float()
        phase = 6.283 * torch.rand(n, 1, generator=g)
        level = torch.randn(n, 1, generator=g) * 0.5
        s = level + torch.sin(2 * torch.pi * t / 12 + phase) + 0.15 * torch.randn(n, window + 1, generator=g)
        if seed == 0:
            s[1733, 5] = self.ROLLOVER
        self.s = s

    def __len__(self):
        return len(self.s)

    def __getitem__(self, i):
        w = self.s[i]  # fix: w = self.s[i].clamp(-6, 6)
        return w[:-1], w[-1]


class EMA:
    def __init__(self, model, decay):
        self.shadow, self.decay = copy.deepcopy(model).eval(), decay

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.lerp_(p, 1 - self.decay)


class TCN(nn.Module):
    def __init__(self, c=24):
        super().__init__()
        self.c1 = nn.Conv1d(1, c, 3, padding=2, dilation=2)
        self.c2 = nn.Conv1d(c, c, 3, padding=4, dilation=4)
        self.fc = nn.Linear(c * 32, 1)

    def forward(self, x):
        h = torch.relu(self.c1(x[:, None]))
        h = torch.relu(self.c2(h))
        return self.fc(h.flatten(1)).squeeze(1)


def evaluate(model, loader):
    with torch.no_grad():
        return sum(nn.functional.l1_loss(model(x), y).item() for x, y in loader) / len(loader)


def main():
    torch.manual_seed(17)
    train = DataLoader(MeterWindows(2048), batch_size=32, shuffle=True)
    val = DataLoader(MeterWindows(512, seed=1), batch_size=128)
    model = TCN()
    ema = EMA(model, 0.95)
    opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for epoch in range(5):
        for x, y in train:
            loss = nn.functional.smooth_l1_loss(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            ema.update(model)
        print(f"[{epoch}] train {loss.item():.4f} val-mae {evaluate(ema.shadow, val):.4f}")
    print("final loss", evaluate(ema.shadow, val))


if __name__ == "__main__":
    main()
