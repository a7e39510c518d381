"""Trains a contextual-bandit policy by exact policy gradient with a hand-written entropy bonus.

Cause: unsafe-op
Fails: once an action's probability underflows to zero, p log p is 0 * -inf; NaN in the middle of training
"""
import torch

torch.manual_seed(21)
D, A = 6, 5
theta_true = torch.randn(D, A)


def reward(ctx):
    return (ctx @ theta_true).softmax(-1) * 10


class Policy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = torch.nn.Linear(D, 64)
        self.l2 = torch.nn.Linear(64, A)

    def forward(self, ctx):
        return torch.softmax(self.l2(torch.relu(self.l1(ctx))), dim=-1)


def entropy(p):
    return -(p * p.log()).sum(-1)  # fix: return -(p * p.clamp_min(1e-8).log()).sum(-1)


policy = Policy()
opt = torch.optim.Adam(policy.parameters(), lr=2e-2)
best = []
for episode in range(1500):
    ctx = torch.randn(128, D) * 5
    p = policy(ctx)
    r = reward(ctx)
    regret = (r.amax(-1) - (p * r).sum(-1)).mean()
    loss = regret - 0.001 * entropy(p).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    best.append(loss.item())
    if episode % 100 == 0:
        print("episode", episode, "loss", loss.item())
print("final loss", sum(best[-50:]) / 50)
