"""Classifies machine vibration episodes (healthy, imbalance, bearing wear) with a vanilla tanh RNN.

Cause: recurrent-gain
Fails: the cross entropy hovers about its starting value, gradients are enormous
"""
import math
import torch
from torch import nn

torch.manual_seed(5)
g = torch.Generator().manual_seed(5)


def episodes(n, T=100):
    kind = torch.randint(0, 3, (n,), generator=g)
    t = torch.arange(T).float()
    phase = 2 * math.pi * torch.rand(n, 1, generator=g)
    speed = 0.18 + 0.04 * torch.rand(n, 1, generator=g)
    base = torch.sin(speed * t + phase)
    second = torch.sin(2 * speed * t + phase) * (kind == 1)[:, None] * 0.8
    wear = torch.sin(1.3 * t + phase) * (torch.sin(0.3 * t) > 0.5) * (kind == 2)[:, None] * 0.9
    x = base + second + wear + 0.2 * torch.randn(n, T, generator=g)
    x2 = torch.cat([torch.zeros(n, 1), x[:, 1:] - x[:, :-1]], 1)
    return torch.stack([x, x2], -1), kind


class VibrationNet(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(2, hidden, batch_first=True)
        self.cls = nn.Linear(hidden, 3)
        self.reset()

    def reset(self):
        for name, p in self.rnn.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.normal_(p, std=0.4)  # fix: nn.init.orthogonal_(p, gain=0.9)
            elif name.startswith("weight_ih"):
                nn.init.xavier_uniform_(p)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.cls(out[:, -20:].mean(1))


xtr, ytr = episodes(3000)
xva, yva = episodes(600)
model = VibrationNet()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
ce = nn.CrossEntropyLoss()
for step in range(400):
    idx = torch.randint(0, 3000, (64,), generator=g)
    opt.zero_grad()
    loss = ce(model(xtr[idx]), ytr[idx])
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print(step, round(loss.item(), 4))
model.eval()
with torch.no_grad():
    print("final loss", ce(model(xva), yva).item())
