"""An attention GRU reverses strings, and each time it is good enough the strings grow longer, so its loss jumps up."""
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(2)
A = 8


class Reverser(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(A + 1, d)
        self.enc = nn.GRU(d, d, batch_first=True)
        self.dec = nn.GRU(d, d, batch_first=True)
        self.pos = nn.Embedding(16, d)
        self.out = nn.Linear(2 * d, A)

    def forward(self, x, t_in):
        pos = self.pos(torch.arange(x.shape[1]))
        m, h = self.enc(self.emb(x) + pos)
        m = m + pos
        q, _ = self.dec(self.emb(t_in) + pos.flip(0), h)
        a = torch.softmax(q @ m.transpose(1, 2) / m.shape[-1] ** 0.5, -1)
        return self.out(torch.cat([q, a @ m], -1))


net = Reverser()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
length, good, log = 2, 0, []
for step in range(420):
    x = torch.randint(0, A, (32, length))
    y = x.flip(1)
    t_in = torch.cat([torch.full((32, 1), A), y[:, :-1]], 1)
    loss = F.cross_entropy(net(x, t_in).flatten(0, 1), y.flatten())
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    good = good + 1 if loss.item() < 0.15 else 0
    if good >= 4 and length < 8 and step < 320:
        length, good = length + 2, 0
        print("step", step, "length", length)
print("first loss", log[0])
print("final loss", sum(log[-25:]) / 25)
