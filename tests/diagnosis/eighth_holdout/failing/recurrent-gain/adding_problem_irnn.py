"""ReLU RNN on the adding problem (two marked numbers in a sequence of 60).

Cause: recurrent-gain
Fails: the loss starts at 3.22e+24 and ends at 3.41e+24 (with the fix 0.013)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
T, H, B = 60, 80, 64


def batch(n):
    v = torch.rand(n, T)
    m = torch.zeros(n, T)
    a = torch.randint(0, T // 2, (n,))
    b = torch.randint(T // 2, T, (n,))
    m[torch.arange(n), a] = 1
    m[torch.arange(n), b] = 1
    return torch.stack([v, m], -1), (v * m).sum(1)


class IRNN(nn.Module):
    def __init__(self, d_in, h):
        super().__init__()
        self.h = h
        self.wx = nn.Parameter(torch.randn(d_in, h) * 0.05)
        self.wh = nn.Parameter(torch.randn(h, h) * 0.25)  # fix: self.wh = nn.Parameter(torch.eye(h))
        self.b = nn.Parameter(torch.zeros(h))
        self.head = nn.Linear(h, 1)

    def forward(self, x):
        s = x.new_zeros(x.shape[0], self.h)
        for t in range(x.shape[1]):
            s = F.relu(x[:, t] @ self.wx + s @ self.wh + self.b)
        return self.head(s).squeeze(-1)


net = IRNN(2, H)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
hist = []
for step in range(400):
    x, y = batch(B)
    loss = F.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-20:]) / 20)
