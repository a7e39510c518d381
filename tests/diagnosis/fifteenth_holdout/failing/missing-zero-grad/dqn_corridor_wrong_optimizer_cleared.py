"""Q-learning with a target network on a corridor with a pit, and a dynamics model trained beside it.

Cause: missing-zero-grad
Fails: only the dynamics optimizer is cleared, the Q gradients pile up and the values run away
"""
import copy
import random
from collections import deque

import torch
from torch import nn

random.seed(14)
torch.manual_seed(14)
N = 10


def env_step(s, a):
    s2 = max(0, min(N - 1, s + (1 if a else -1)))
    if s2 == N - 1:
        return s2, 1.0, True
    if s2 == 0:
        return s2, -1.0, True
    return s2, -0.01, False


def feat(s):
    s = torch.as_tensor(s, dtype=torch.float32)
    centers = torch.linspace(0, N - 1, 12)
    return torch.exp(-((s[..., None] - centers) ** 2) / 1.5)


q = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 2))
target = copy.deepcopy(q)
dyn = nn.Sequential(nn.Linear(14, 32), nn.ReLU(), nn.Linear(32, 12))
opt_q = torch.optim.SGD(q.parameters(), lr=0.1)
opt_d = torch.optim.SGD(dyn.parameters(), lr=0.1)
buf = deque(maxlen=2000)
s, td = 5, []
for t in range(1500):
    a = random.randrange(2) if random.random() < max(0.1, 1 - t / 700) else q(feat(s)).argmax().item()
    s2, r, done = env_step(s, a)
    buf.append((s, a, r, s2, float(done)))
    s = random.randint(1, N - 2) if done else s2
    if len(buf) < 64:
        continue
    S, A, R, S2, D = map(torch.tensor, zip(*random.sample(buf, 32)))
    with torch.no_grad():
        y = R + 0.95 * (1 - D) * target(feat(S2)).max(1).values
    q_loss = (q(feat(S)).gather(1, A[:, None]).squeeze(1) - y).pow(2).mean()
    onehot = nn.functional.one_hot(A, 2).float()
    d_loss = (dyn(torch.cat([feat(S), onehot], 1)) - feat(S2)).pow(2).mean()
    opt_d.zero_grad()  # fix: opt_d.zero_grad(); opt_q.zero_grad()
    (q_loss + d_loss).backward()
    opt_q.step()
    opt_d.step()
    if t % 50 == 0:
        target.load_state_dict(q.state_dict())
    td.append(q_loss.item())
    if t % 250 == 0:
        print(t, td[-1], d_loss.item())
print("final loss", sum(td[-100:]) / 100)
