"""Advantage actor-critic on a small inventory problem, separate optimizers for actor and critic.

Cause: missing-zero-grad
Fails: critic_opt.zero_grad() is only called in the warm-up branch; after update 100 its gradients pile up and the value loss goes from 1 to over 100
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(77)
rng = np.random.default_rng(77)


class Store:
    """vectorised: state = (stock, last demand), action = order 0..4"""

    def __init__(self, n):
        self.n = n
        self.stock = np.full(n, 5.0)
        self.dem = np.full(n, 2.0)

    def obs(self):
        return torch.tensor(np.stack([self.stock / 10, self.dem / 5], 1), dtype=torch.float32)

    def step(self, a):
        self.stock = np.minimum(self.stock + a, 12)
        d = rng.poisson(0.5 * self.dem + 1.0)
        sold = np.minimum(self.stock, d)
        lost = d - sold
        self.stock = self.stock - sold
        self.dem = np.clip(d, 0, 6).astype(float)
        return (1.0 * sold - 0.15 * self.stock - 0.8 * lost - 0.3 * a) / 3.0


actor = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 5))
critic = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
actor_opt = torch.optim.Adam(actor.parameters(), lr=3e-3)
critic_opt = torch.optim.SGD(critic.parameters(), lr=0.02, momentum=0.9)
env = Store(32)
GAMMA, NSTEP, WARM = 0.9, 5, 100
vlosses, rets = [], []

for it in range(800):
    obs, logps, ents, rews = [], [], [], []
    for _ in range(NSTEP):
        o = env.obs()
        dist = torch.distributions.Categorical(logits=actor(o))
        a = dist.sample()
        obs.append(o); logps.append(dist.log_prob(a)); ents.append(dist.entropy())
        rews.append(torch.tensor(env.step(a.numpy()), dtype=torch.float32))
    with torch.no_grad():
        R = critic(env.obs()).squeeze(-1)
    targets = []
    for r in reversed(rews):
        R = r + GAMMA * R
        targets.insert(0, R)
    targets = torch.stack(targets)
    values = critic(torch.stack(obs)).squeeze(-1)
    adv = (targets - values).detach()
    adv = (adv - adv.mean()) / (adv.std() + 1e-6)
    ploss = -(torch.stack(logps) * adv).mean() - 0.01 * torch.stack(ents).mean()
    vloss = nn.functional.smooth_l1_loss(values, targets)

    if it < WARM:
        # the critic alone first
        critic_opt.zero_grad()
        vloss.backward()
    else:
        actor_opt.zero_grad()
        # fix: critic_opt.zero_grad()
        (ploss + vloss).backward()
        actor_opt.step()
    critic_opt.step()
    vlosses.append(vloss.item()); rets.append(torch.stack(rews).mean().item())
    if it % 80 == 0:
        print(f"update {it} reward {np.mean(rets[-50:]):.3f} value loss {np.mean(vlosses[-50:]):.4f}")
print("mean reward", np.mean(rets[-50:]))
print("final loss", float(np.mean(vlosses[-50:])))
