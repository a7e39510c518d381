"""REINFORCE in a corridor that pays only at its far end; the loss is the mean number of moves used.

Looks nasty: rewards are sparse, returns are noisy, the policy loss changes its sign at will.
"""
import torch
import torch.nn as nn

torch.manual_seed(1)
LENGTH, HORIZON, ENVS = 7, 40, 24


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(LENGTH, 32), nn.Tanh())
        self.pi, self.v = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, s):
        h = self.body(nn.functional.one_hot(s, LENGTH).float())
        return torch.distributions.Categorical(logits=self.pi(h)), self.v(h)[..., 0]


def rollout(policy):
    s = torch.zeros(ENVS, dtype=torch.long)
    alive = torch.ones(ENVS)
    logp, val, rew, live, ent = [], [], [], [], []
    for _ in range(HORIZON):
        dist, v = policy(s)
        a = dist.sample()
        logp.append(dist.log_prob(a)); val.append(v); live.append(alive); ent.append(dist.entropy())
        slip = torch.rand(ENVS) < 0.1
        move = torch.where(slip, -(a * 2 - 1), a * 2 - 1)
        s = (s + move).clamp(0, LENGTH - 1)
        done = (s == LENGTH - 1).float() * alive
        rew.append(done)
        alive = alive * (1 - done)
    return map(torch.stack, (logp, val, rew, live, ent))


policy = Policy()
opt = torch.optim.Adam(policy.parameters(), lr=7e-3)
moves = []
for it in range(160):
    logp, val, rew, live, ent = rollout(policy)
    ret, run = torch.zeros_like(rew), torch.zeros(ENVS)
    for t in reversed(range(HORIZON)):
        run = rew[t] + 0.95 * run
        ret[t] = run
    adv = (ret - val).detach()
    pl = -(logp * adv * live).sum() / live.sum()
    vl = ((val - ret).pow(2) * live).sum() / live.sum()
    obj = pl + 0.5 * vl - 0.005 * (ent * live).sum() / live.sum()
    opt.zero_grad()
    obj.backward()
    nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
    opt.step()
    moves.append(live.sum().item() / ENVS)
    if it % 16 == 0:
        print(f"iter {it} loss {moves[-1]:.2f} moves, policy term {pl.item():+.4f}, value term {vl.item():.4f}")
print("final loss", sum(moves[-20:]) / 20)
