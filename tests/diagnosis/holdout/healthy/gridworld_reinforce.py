"""REINFORCE on a corridor with a single sparse reward at the far end; most episodes return nothing at first."""

import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.manual_seed(4)
N, HORIZON, ENVS = 7, 20, 32
eye = torch.eye(N)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(N, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(self, pos):
        return Categorical(logits=self.net(eye[pos]))


def rollout(policy):
    pos = torch.zeros(ENVS, dtype=torch.long)
    alive = torch.ones(ENVS)
    logps, ents, ret = [], [], torch.zeros(ENVS)
    for t in range(HORIZON):
        dist = policy(pos)
        a = dist.sample()
        logps.append(dist.log_prob(a) * alive)
        ents.append((dist.entropy() * alive).mean())
        pos = (pos + 2 * a - 1).clamp(0, N - 1)
        done = (pos == N - 1).float() * alive
        ret += done * 0.98**t
        alive = alive * (1 - done)
    return torch.stack(logps).sum(0), torch.stack(ents).mean(), ret


policy = Policy()
opt = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline, losses, returns = 0.0, [], []
for it in range(120):
    logp, ent, ret = rollout(policy)
    adv = ret - baseline
    baseline = 0.9 * baseline + 0.1 * ret.mean().item()
    loss = -(logp * adv).mean() - 0.01 * ent
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    returns.append(ret.mean().item())
print("mean return", sum(returns[:10]) / 10, "->", sum(returns[-10:]) / 10)
print("final loss", sum(losses[-10:]) / 10)
