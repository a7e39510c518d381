"""Policy trained through a differentiable cart model: bring the cart to the goal.

Cause: saturation
Fails: the tanh of the actuator is driven by values of order 1e5, so the action is
pinned at +-1, no gradient comes back and the cart overshoots for ever.
"""
import torch
import torch.nn as nn

torch.manual_seed(88)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 48), nn.ELU(), nn.Linear(48, 48), nn.ELU(), nn.Linear(48, 1))
        self.unit = 1e6  # fix: self.unit = 1.0

    def forward(self, s):
        return torch.tanh(self.unit * self.body(s))


def rollout(pi, n=64, T=24, dt=0.15):
    x = torch.rand(n, 1) * 2 - 1
    v = torch.zeros(n, 1)
    goal = torch.rand(n, 1) * 2 - 1
    cost = 0.0
    for t in range(T):
        a = pi(torch.cat([x, v, goal], 1))
        v = 0.97 * v + dt * 4 * a
        x = x + dt * v
        if t >= T // 2:
            cost = cost + ((x - goal) ** 2 + 0.1 * v ** 2).mean() / (T - T // 2)
    return cost


pi = Policy()
opt = torch.optim.Adam(pi.parameters(), lr=2e-3)
costs = []
for it in range(700):
    c = rollout(pi)
    opt.zero_grad()
    c.backward()
    nn.utils.clip_grad_norm_(pi.parameters(), 1.0)
    opt.step()
    costs.append(c.item())
    if it % 70 == 0:
        print("iter", it, "cost", round(c.item(), 4))
print("final loss", sum(costs[-30:]) / 30)
