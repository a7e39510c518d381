"""REINFORCE without a baseline on a short corridor with slippery floor; the surrogate loss is noise, the return is what counts."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
np.random.seed(0)
GOAL, MAXT = 7, 30


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(GOAL + 1, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, s):
        return torch.distributions.Categorical(logits=self.net(nn.functional.one_hot(s, GOAL + 1).float()))


policy = Policy()
opt = torch.optim.Adam(policy.parameters(), lr=3e-3)
lengths = []
for ep in range(700):
    s = torch.zeros(8, dtype=torch.long)
    done = torch.zeros(8, dtype=torch.bool)
    logp, alive, T = [], [], torch.zeros(8)
    for t in range(MAXT):
        d = policy(s)
        a = d.sample()
        slip = torch.rand(8) < 0.1
        move = torch.where(slip, 1 - a, a) * 2 - 1
        logp.append(d.log_prob(a)); alive.append(~done)
        T += (~done).float()
        s = torch.where(done, s, (s + move).clamp(0, GOAL))
        done = done | (s == GOAL)
        if done.all():
            break
    ret = -T + 20.0 * done.float()
    lp = (torch.stack(logp) * torch.stack(alive).float()).sum(0)
    loss = -(lp * ret).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    lengths.append(-ret.mean().item())
    if ep % 70 == 0:
        print(f"episode {ep:4d} surrogate {loss.item():8.2f} return {-np.mean(lengths[-50:]):.2f}")
print("final loss", float(np.mean(lengths[-50:])))
