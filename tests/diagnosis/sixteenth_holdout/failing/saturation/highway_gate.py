"""Highway network with carry gates for a cipher-decoding toy (vector permutation + xor).

Cause: saturation, vanishing-depth
Fails: the transform gates are pinned at zero by their bias, nothing but the linear
ends can learn and the loss stays near chance.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(71)


class Highway(nn.Module):
    def __init__(self, d, gate_bias):
        super().__init__()
        self.h, self.t = nn.Linear(d, d), nn.Linear(d, d)
        nn.init.constant_(self.t.bias, gate_bias)

    def forward(self, x):
        g = torch.sigmoid(self.t(x))
        return g * torch.tanh(self.h(x)) + (1 - g) * x


class Decoder(nn.Module):
    def __init__(self, bits=16, d=96):
        super().__init__()
        self.inp = nn.Linear(bits, d)
        gate_bias = -20.0  # fix: gate_bias = -1.0
        self.body = nn.Sequential(*[Highway(d, gate_bias) for _ in range(4)])
        self.out = nn.Linear(d, bits)

    def forward(self, x):
        return self.out(self.body(self.inp(x)))


perm = torch.randperm(16)
net = Decoder()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
ema = None
for step in range(1800):
    x = torch.randint(0, 2, (64, 16))
    y = (x ^ x[:, perm]).float()
    loss = F.binary_cross_entropy_with_logits(net(x.float() * 2 - 1), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema = loss.item() if ema is None else 0.97 * ema + 0.03 * loss.item()
    if step % 200 == 0:
        print(f"step {step:4d} bce {ema:.4f}")
print(f"final loss {ema:.5f}")
