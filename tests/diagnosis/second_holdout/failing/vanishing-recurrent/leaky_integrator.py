"""Adds two marked numbers far apart in a sequence with a leaky-integrator RNN.

Cause: vanishing-recurrent
Fails: a leak of one half forgets within a few steps; the loss stays at the variance of the sum
"""
import torch

torch.manual_seed(0)
LEN, HID = 60, 48
LEAK = 0.5  # fix: LEAK = 0.01


def adding(n):
    v = torch.rand(LEN, n, 1)
    m = torch.zeros(LEN, n, 1)
    i = torch.randint(0, LEN // 4, (n,))
    j = torch.randint(LEN // 4, LEN // 2, (n,))
    b = torch.arange(n)
    m[i, b], m[j, b] = 1.0, 1.0
    return torch.cat([v, m], -1), (v * m).sum(0).squeeze(-1)


W_in = torch.nn.Parameter(torch.randn(2, HID) * 0.7)
W_rec = torch.nn.Parameter(torch.randn(HID, HID) * 0.3 / HID ** 0.5)
b = torch.nn.Parameter(torch.zeros(HID))
W_out = torch.nn.Parameter(torch.randn(HID, 1) / HID ** 0.5)
b_out = torch.nn.Parameter(torch.ones(1))
params = [W_in, W_rec, b, W_out, b_out]


def forward(seq):
    h = torch.zeros(seq.size(1), HID)
    for x in seq:
        h = (1 - LEAK) * h + LEAK ** 0.5 * torch.tanh(x @ W_in + h @ W_rec + b)
    return (h @ W_out).squeeze(-1) + b_out


opt = torch.optim.Adam(params, lr=2e-3)
ema = None
for step in range(500):
    seq, target = adding(64)
    loss = (forward(seq) - target).square().mean()
    grads = torch.autograd.grad(loss, params)
    for p, g in zip(params, grads):
        p.grad = g
    opt.step()
    ema = loss.item() if ema is None else 0.95 * ema + 0.05 * loss.item()
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", ema)
