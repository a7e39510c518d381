"""A message-passing net over random point clouds that predicts their mean pair energy.

Cause: unsafe-op
Fails: the first backward gives nan, the loss is not finite from step 1 on
"""
import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.msg = nn.Sequential(nn.Linear(2 * width + 1, width), nn.SiLU())
        self.upd = nn.Linear(2 * width, width)
        self.move = nn.Linear(width, 1)

    def forward(self, h, pos):
        n = h.shape[1]
        diff = pos[:, :, None] - pos[:, None, :]
        sq = diff.pow(2).sum(-1, keepdim=True)
        dist = sq.sqrt()  # fix: dist = (sq + 1e-6).sqrt()
        pair = torch.cat([h[:, :, None].expand(-1, -1, n, -1), h[:, None].expand(-1, n, -1, -1), dist], -1)
        m = self.msg(pair)
        pos = pos + 0.1 * (diff * torch.tanh(self.move(m))).mean(2)
        return h + self.upd(torch.cat([h, m.mean(2)], -1)), pos


class PointNet(nn.Module):
    def __init__(self, width=16, depth=2):
        super().__init__()
        self.embed = nn.Embedding(3, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(depth))
        self.read = nn.Linear(width, 1)

    def forward(self, kinds, pos):
        h = self.embed(kinds)
        for layer in self.layers:
            h, pos = layer(h, pos)
        return self.read(h).mean(1).squeeze(-1)


def clouds(batch, n=6):
    kinds = torch.randint(0, 3, (batch, n))
    pos = torch.randn(batch, n, 3)
    charge = kinds.float() - 1
    d2 = (pos[:, :, None] - pos[:, None]).pow(2).sum(-1)
    energy = (charge[:, :, None] * charge[:, None] * torch.exp(-0.5 * d2)).mean((1, 2)) * 5
    return kinds, pos, energy


torch.manual_seed(17)
model = PointNet()
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
avg = None
for step in range(600):
    kinds, pos, energy = clouds(32)
    loss = nn.functional.smooth_l1_loss(model(kinds, pos), energy)
    opt.zero_grad()
    loss.backward()
    opt.step()
    avg = loss.item() if avg is None else 0.95 * avg + 0.05 * loss.item()
    if step % 100 == 0:
        print(step, avg)
print("final loss", avg)
