"""Siamese contrastive net on sensor windows, each channel z-scored per window by the Dataset.

Cause: nonfinite-data
Fails: the loss is not finite from backward call 16 on (counted from 0, of 200); the final value is nan
"""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pairs(Dataset):
    def __init__(self, n, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.cls = torch.randint(0, 5, (n,), generator=self.g)
        t = torch.arange(40.)
        f = 0.15 + 0.12 * self.cls.float()
        ph = 6.28 * torch.rand(n, 2, 1, generator=self.g)
        self.x = torch.sin(f[:, None, None] * t + ph) + 0.3 * torch.randn(n, 2, 40, generator=self.g)
        self.x = 300 + 7 * self.x
        self.x[n // 3, 1] = 312.0

    def __len__(self):
        return len(self.cls)

    def norm(self, w):
        return (w - w.mean(-1, keepdim=True)) / w.std(-1, keepdim=True)  # fix: return (w - w.mean(-1, keepdim=True)) / (w.std(-1, keepdim=True) + 1e-3)

    def __getitem__(self, i):
        same = torch.rand(1, generator=self.g) < 0.5
        pool = (self.cls == self.cls[i]) if same else (self.cls != self.cls[i])
        cand = pool.nonzero()[:, 0]
        j = cand[torch.randint(0, len(cand), (1,), generator=self.g)].item()
        return self.norm(self.x[i]), self.norm(self.x[j]), same.float().squeeze(0)


class Encoder(nn.Module):
    def __init__(self, c=24, d=8):
        super().__init__()
        self.f = nn.Sequential(nn.Conv1d(2, c, 7, padding=3), nn.SiLU(), nn.Conv1d(c, c, 7, padding=3, stride=2), nn.SiLU())
        self.o = nn.Linear(2 * c, d)

    def forward(self, x):
        h = self.f(x)
        return self.o(torch.cat([h.mean(-1), h.amax(-1)], -1))


def contrastive(a, b, same, margin=1.0):
    d = ((a - b) ** 2).sum(-1).add(1e-6).sqrt()
    return (same * d ** 2 + (1 - same) * torch.relu(margin - d) ** 2).mean()


def main():
    torch.manual_seed(8)
    loader = DataLoader(Pairs(800, 4), 32, shuffle=True)
    net = Encoder()
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, 6e-3, total_steps=25 * 8)
    for ep in range(8):
        tot = 0.0
        for a, b, s in loader:
            opt.zero_grad()
            loss = contrastive(net(a), net(b), s)
            loss.backward()
            opt.step()
            sched.step()
            tot += loss.item() / len(loader)
        print("epoch", ep, "contrastive", tot)
    print("final loss", tot)


if __name__ == "__main__":
    main()
