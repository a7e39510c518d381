"""Forty-layer tanh net on noisy seven-segment digits.

Cause: vanishing-depth
Fails: loss 2.33 at the start and 2.31 after 600 steps (guessing is 2.303).
"""
import torch

SEGMENTS = ["1111110", "0110000", "1101101", "1111001", "0110011", "1011011", "1011111", "1110000", "1111111", "1111011"]


def digits(n, gen):
    table = torch.tensor([[float(c) for c in s] for s in SEGMENTS])
    y = torch.randint(0, 10, (n,), generator=gen)
    x = table[y].repeat_interleave(3, dim=1)
    return x - 0.5 + 0.3 * torch.randn(x.shape, generator=gen), y


class Deep(torch.nn.Module):
    def __init__(self, width=32, depth=40):
        super().__init__()
        self.inp = torch.nn.Linear(21, width)
        self.layers = torch.nn.ModuleList([torch.nn.Linear(width, width) for _ in range(depth)])
        self.out = torch.nn.Linear(width, 10)

    def forward(self, x):
        h = torch.tanh(self.inp(x))
        for layer in self.layers:
            h = torch.tanh(layer(h))  # fix: h = h + 0.2 * torch.tanh(layer(h))
        return self.out(h)


torch.manual_seed(30)
gen = torch.Generator().manual_seed(30)
net = Deep()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
trace = []
for step in range(600):
    x, y = digits(32, gen)
    loss = torch.nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    trace.append(loss.item())
    if step % 60 == 0:
        print(step, trace[-1])
print("final loss", sum(trace[-40:]) / 40)
