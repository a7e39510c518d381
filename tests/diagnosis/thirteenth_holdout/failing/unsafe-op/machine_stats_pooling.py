"""Machine state from sensor bursts of unequal length: GRU, mean+std pooling over valid steps.

Cause: unsafe-op
Fails: the loss is not finite from step 18 on (with the fix: final loss 0.0452)
"""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Bursts(Dataset):
    def __init__(self, n=1500, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.items = []
        for i in range(n):
            T = int(torch.randint(2, 30, (1,), generator=g))
            if i % 500 == 444:
                T = 1
            c = int(torch.randint(0, 3, (1,), generator=g))
            t = torch.arange(T).float()
            sig = torch.stack([torch.sin((0.3 + 0.5 * c) * t), torch.full((T,), c - 1.0)], 1)
            self.items.append((sig + 0.5 * torch.randn(T, 2, generator=g), c))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def pad(batch):
    xs, ys = zip(*batch)
    lens = torch.tensor([len(x) for x in xs])
    return nn.utils.rnn.pad_sequence(xs, batch_first=True), lens, torch.tensor(ys)


class StatsPool(nn.Module):
    def forward(self, h, lens):
        mask = (torch.arange(h.size(1)) < lens[:, None]).unsqueeze(-1).float()
        n = lens.view(-1, 1).float()
        mean = (h * mask).sum(1) / n
        var = (((h - mean.unsqueeze(1)) * mask) ** 2).sum(1) / n
        std = var.sqrt()  # fix: std = (var + 1e-5).sqrt()
        return torch.cat([mean, std], -1)


class BurstNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 24, batch_first=True)
        self.pool = StatsPool()
        self.cls = nn.Linear(48, 3)

    def forward(self, x, lens):
        return self.cls(self.pool(self.gru(x)[0], lens))


torch.manual_seed(0)
dl = DataLoader(Bursts(), batch_size=32, shuffle=True, collate_fn=pad)
net = BurstNet()
opt = torch.optim.RMSprop(net.parameters(), lr=2e-3)
for epoch in range(5):
    tot = 0.0
    for x, lens, y in dl:
        loss = nn.functional.cross_entropy(net(x, lens), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        tot += loss.item()
    print("epoch", epoch, "loss", tot / len(dl))
print("final loss", tot / len(dl))
