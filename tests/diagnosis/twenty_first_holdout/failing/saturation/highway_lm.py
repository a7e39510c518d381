"""Trains a highway network on character windows in the style of the character-aware models, gates biased towards carry.

Cause: saturation
Fails: the loss stays at log(10), as for a linear model of the inputs
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(110)
torch.set_num_threads(1)
V, W, E = 10, 3, 12


class Highway(nn.Module):
    def __init__(self, size, layers, bias):
        super().__init__()
        self.lin = nn.ModuleList([nn.Linear(size, size) for _ in range(layers)])
        self.gate = nn.ModuleList([nn.Linear(size, size) for _ in range(layers)])
        for l in self.gate:
            nn.init.constant_(l.bias, bias)

    def forward(self, x):
        for l, t in zip(self.lin, self.gate):
            g = torch.sigmoid(t(x))
            x = g * torch.tanh(l(x)) + (1 - g) * x
        return x


class Model(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.emb, self.inp = nn.Embedding(V, E), nn.Linear(W * E, h)
        self.hw = Highway(h, 4, bias=-20.0)  # fix: self.hw = Highway(h, 4, bias=-2.0)
        self.out = nn.Linear(h, V)

    def forward(self, x):
        return self.out(self.hw(self.inp(self.emb(x).flatten(1))))


g = torch.Generator().manual_seed(10)
T2 = (torch.arange(V).unsqueeze(1) + torch.arange(V)) % V
T2 = T2[torch.randperm(V, generator=g)]


def batch(n):
    x = torch.randint(0, V, (n, W), generator=g)
    y = T2[x[:, 1], x[:, 2]]
    noise = torch.rand(n, generator=g) < 0.05
    return x, torch.where(noise, torch.randint(0, V, (n,), generator=g), y)


model = Model()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
for step in range(700):
    x, y = batch(64)
    loss = F.cross_entropy(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 70 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    x, y = batch(2000)
    print("final loss", F.cross_entropy(model(x), y).item())
