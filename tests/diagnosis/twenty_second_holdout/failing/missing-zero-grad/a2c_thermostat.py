"""Advantage actor-critic steers the heater of a small room model; the reported loss is the critic's squared error plus discomfort.

Cause: missing-zero-grad
"""
import numpy as np
import torch
import torch.nn as nn
from torch.distributions import Categorical

torch.set_num_threads(1)
torch.manual_seed(9)
np.random.seed(9)


class Rooms:
    """16 rooms in parallel; state = (indoor error, outdoor, sin, cos); actions off / half / full."""

    def __init__(self, n=16):
        self.n = n
        self.k = 0
        self.temp = np.random.uniform(14, 24, n)

    def obs(self):
        ph = 2 * np.pi * self.k / 96
        self.out = 5 + 4 * np.sin(ph) + 0.3 * np.random.randn(self.n)
        o = np.stack([(self.temp - 20) / 3, (self.out - 5) / 4, np.full(self.n, np.sin(ph)), np.full(self.n, np.cos(ph))], 1)
        return torch.tensor(o, dtype=torch.float32)

    def step(self, a):
        self.temp += 0.05 * (self.out - self.temp) + np.array([0.0, 0.8, 1.6])[a] + 0.05 * np.random.randn(self.n)
        self.temp = self.temp.clip(8, 32)
        self.k += 1
        reset = np.random.rand(self.n) < 0.01
        self.temp[reset] = np.random.uniform(14, 24, reset.sum())
        return torch.tensor(-np.abs(self.temp - 20) / 3, dtype=torch.float32)


actor = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
critic = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 1))
a_opt = torch.optim.Adam(actor.parameters(), lr=5e-3)
c_opt = torch.optim.SGD(critic.parameters(), lr=0.004, momentum=0.9)

env = Rooms()
GAMMA, HORIZON = 0.9, 5
scores, s = [], env.obs()
for upd in range(900):
    lp, ent, vs, rs = [], [], [], []
    for _ in range(HORIZON):
        d = Categorical(logits=actor(s))
        a = d.sample()
        lp.append(d.log_prob(a)); ent.append(d.entropy()); vs.append(critic(s).squeeze(1))
        rs.append(env.step(a.numpy()))
        s = env.obs()
    with torch.no_grad():
        ret = critic(s).squeeze(1)
    targets = []
    for r in reversed(rs):
        ret = r + GAMMA * ret
        targets.insert(0, ret)
    tgt, val = torch.stack(targets), torch.stack(vs)
    adv = (tgt - val).detach()
    adv = (adv - adv.mean()) / (adv.std() + 1e-6)
    critic_loss = nn.functional.smooth_l1_loss(val, tgt)
    actor_loss = -(torch.stack(lp) * adv).mean() - 0.01 * torch.stack(ent).mean()

    a_opt.zero_grad()
    actor_loss.backward()
    a_opt.step()
    a_opt.zero_grad()  # fix: c_opt.zero_grad()
    critic_loss.backward()
    c_opt.step()

    scores.append(critic_loss.item() - torch.stack(rs).mean().item())
    if upd % 75 == 0:
        print(f"update {upd:4d}  critic {critic_loss.item():.4f}  reward {torch.stack(rs).mean().item():.3f}")
print("final loss", float(np.mean(scores[-20:])))
