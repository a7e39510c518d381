"""Trains a sensor counter: a GRU must report the sum of two marked readings.
Cause: vanishing-recurrent
Fails: the loss stays at the variance of the target (about 0.17) for the whole run.
"""
import torch
import torch.nn as nn

torch.manual_seed(8)
T, B, H = 40, 64, 48


def make(n):
    v = torch.rand(n, T)
    m = torch.zeros(n, T)
    a = torch.randint(0, T // 2, (n,))
    b = torch.randint(T // 2, T - 8, (n,))
    m[torch.arange(n), a] = 1
    m[torch.arange(n), b] = 1
    return torch.stack([v, m], -1), (v * m).sum(1, keepdim=True)


class Chunked(nn.Module):
    def __init__(self, chunk):
        super().__init__()
        self.cell = nn.GRU(2, H, batch_first=True)
        self.out = nn.Linear(H, 1)
        self.chunk = chunk

    def forward(self, x):
        h = torch.zeros(1, x.size(0), H)
        for part in x.split(self.chunk, dim=1):
            _, h = self.cell(part, h.detach())
        return self.out(h[0])


model = Chunked(chunk=5)  # fix: model = Chunked(chunk=T)
opt = torch.optim.Adam(model.parameters(), lr=5e-3)
tail = []
for step in range(290):
    x, y = make(B)
    loss = ((model(x) - y) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    tail.append(loss.item())
    if step % 60 == 0:
        print(step, round(loss.item(), 4))
print("final loss", round(sum(tail[-25:]) / 25, 5))
