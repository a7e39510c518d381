"""Fitted value iteration on a random walk with terminal payoffs in cents.

Cause: loss-scale
Fails: returns of order 1e6 against a tanh net with small rate: with Adam the value
head crawls and the normalised error stays near the start.
"""
import torch
import torch.nn as nn

torch.manual_seed(58)
STATES, GAMMA = 41, 0.97
PAYOFF = 1_000_000.0
unit = PAYOFF

# exact values, for the targets (Monte-Carlo noise added)
P = torch.zeros(STATES, STATES)
for i in range(1, STATES - 1):
    P[i, i - 1] = P[i, i + 1] = 0.5
r = torch.zeros(STATES)
r[STATES - 1], r[0] = 1.0, -1.0
V = torch.linalg.solve(torch.eye(STATES) - GAMMA * P, r)
returns_cents = V * PAYOFF

net = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
pos = torch.linspace(-2, 2, STATES)[:, None]
hist = []
for it in range(4000):
    s = torch.randint(0, STATES, (64,))
    g = returns_cents[s] * (1 + 0.02 * torch.randn(64))
    target = g  # fix: target = g / unit
    v = net(pos[s]).squeeze(1)
    loss = ((v - target) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item() / target.pow(2).mean().item())
    if it % 400 == 0:
        print(f"it {it} relative error {hist[-1]:.4f}")
print(f"final loss {sum(hist[-100:]) / 100:.5f}")
