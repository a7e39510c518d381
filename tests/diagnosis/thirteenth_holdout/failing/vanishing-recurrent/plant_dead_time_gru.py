"""Predict the output of a process plant with a long dead time from its valve signal with a GRU.

Cause: vanishing-recurrent
Fails: final loss 0.169 (with the fix 0.002718)
"""
import torch
from torch import nn, optim


def simulate(n, T, delay, g):
    # one valve pulse early in the window, product quality measured at the end
    u = 0.05 * torch.randn(n, T, generator=g)
    amp = 2 * torch.rand(n, generator=g) - 1
    when = torch.randint(0, T - delay, (n,), generator=g)
    u[torch.arange(n), when] += 2.0 * amp
    marker = torch.zeros(n, T)
    marker[torch.arange(n), when] = 1.0
    return torch.stack([u, marker], -1), amp


def build(hidden):
    gru = nn.GRU(2, hidden, batch_first=True)
    head = nn.Linear(hidden, 1)
    with torch.no_grad():
        nn.init.orthogonal_(gru.weight_hh_l0)
        # order of the gates is r, z, n
        gru.bias_ih_l0[hidden:2 * hidden] = -4.0  # fix: gru.bias_ih_l0[hidden:2 * hidden] = 3.0
        gru.weight_hh_l0[2 * hidden:].mul_(0.3)
    return gru, head


def train_model(steps=300, batch=48, T=80, delay=60, hidden=32, lr=4e-3):
    g = torch.Generator().manual_seed(17)
    torch.manual_seed(17)
    gru, head = build(hidden)
    weights = [*gru.parameters(), *head.parameters()]
    opt = optim.NAdam(weights, lr=lr)
    avg = None
    for k in range(steps):
        x, y = simulate(batch, T, delay, g)
        h, _ = gru(x)
        loss = nn.functional.smooth_l1_loss(head(h[:, -1]).squeeze(-1), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        opt.step()
        avg = loss.item() if avg is None else 0.95 * avg + 0.05 * loss.item()
        if k % 50 == 0:
            print(f"{k:5d}  {avg:.5f}")
    return avg


print("final loss", train_model())
