"""Trains a cosine-attention reader on multi-sensor windows: return the reading of the sensor whose signature matches the query.
Cause: attention-logits
Fails: the loss stays near the variance of the readings (about 1) while the healthy run gets far below it.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(73)
S, SIG, D = 10, 8, 32
bank = torch.randn(40, SIG)


def window(n):
    who = torch.stack([torch.randperm(40)[:S] for _ in range(n)])
    sig = bank[who]
    reading = torch.randn(n, S)
    j = torch.randint(0, S, (n,))
    r = torch.arange(n)
    q = sig[r, j] @ R + 0.1 * torch.randn(n, SIG)
    return torch.cat([sig, reading.unsqueeze(-1)], -1), q, reading[r, j]


R = torch.linalg.qr(torch.randn(SIG, SIG))[0]


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.kp, self.qp, self.vp = nn.Linear(SIG + 1, D), nn.Linear(SIG, D), nn.Linear(SIG + 1, D)
        self.log_scale = nn.Parameter(torch.tensor(8.0))  # fix: self.log_scale = nn.Parameter(torch.tensor(2.3))
        self.out = nn.Linear(D, 1)

    def forward(self, ctx, q):
        k = F.normalize(self.kp(ctx), dim=-1)
        qn = F.normalize(self.qp(q), dim=-1)
        att = torch.softmax((k @ qn.unsqueeze(-1)).squeeze(-1) * self.log_scale.exp(), 1)
        return self.out((att.unsqueeze(-1) * self.vp(ctx)).sum(1)).squeeze(1)


net = Reader()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
avg = None
for step in range(700):
    c, q, y = window(64)
    loss = F.mse_loss(net(c, q), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    avg = loss.item() if avg is None else 0.96 * avg + 0.04 * loss.item()
    if step % 80 == 0:
        print(step, round(avg, 4))
print("final loss", round(avg, 4))
