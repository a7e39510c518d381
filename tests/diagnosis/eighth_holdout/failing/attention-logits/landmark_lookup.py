"""Set attention: a robot reads the value stored at the landmark nearest to its own bearing code.
Cause: attention-logits
Fails: the loss stays at 1.0, that of a constant guess, for all 700 steps (fixed run 5e-4)
"""
import math
import torch
import torch.nn as nn


class Reader(nn.Module):
    def __init__(self, code=16, val=4, d=128):
        super().__init__()
        self.d = d
        self.ln = nn.LayerNorm(code)
        self.q = nn.Linear(code, d)
        self.k = nn.Linear(code, d)
        self.v = nn.Linear(val, d)
        self.o = nn.Linear(d, val)

    def forward(self, me, codes, values):
        q = self.q(self.ln(me)).unsqueeze(1)
        k = self.k(self.ln(codes))
        att = (q @ k.transpose(1, 2)) * math.sqrt(self.d)  # fix: att = (q @ k.transpose(1, 2)) / math.sqrt(self.d)
        return self.o(att.softmax(-1) @ self.v(values)).squeeze(1)


def scene(n, m=24):
    codes = torch.randn(n, m, 16)
    values = torch.randn(n, m, 4)
    j = torch.randint(0, m, (n,))
    me = codes[torch.arange(n), j] + 0.3 * torch.randn(n, 16)
    return me, codes, values, values[torch.arange(n), j]


if __name__ == "__main__":
    torch.manual_seed(8)
    net = Reader()
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    log = []
    for it in range(700):
        me, c, v, y = scene(64)
        loss = (net(me, c, v) - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())
        if it % 100 == 0:
            print(it, round(log[-1], 4))
    print("final loss", sum(log[-50:]) / 50)
