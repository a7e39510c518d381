"""DQN with replay and a target network on a noisy ring walk; the TD loss grows while values are being found."""

import copy
import random
from collections import deque

import torch
import torch.nn as nn

torch.manual_seed(58)
random.seed(58)
N = 9
q = nn.Sequential(nn.Linear(N, 48), nn.ReLU(), nn.Linear(48, 2))
target = copy.deepcopy(q)
opt = torch.optim.Adam(q.parameters(), lr=2e-3)
memory, losses, wins = deque(maxlen=2000), [], []
eye = torch.eye(N)
pos, eps = 0, 1.0
for step in range(900):
    with torch.no_grad():
        a = random.randrange(2) if random.random() < eps else int(q(eye[pos]).argmax())
    move = (2 * a - 1) if random.random() > 0.1 else random.choice([-1, 1])
    nxt = min(max(pos + move, 0), N - 1)
    done = nxt == N - 1
    memory.append((pos, a, 10.0 if done else -0.1, nxt, done))
    wins.append(done)
    pos = 0 if done else nxt
    eps = max(0.05, eps * 0.996)
    if len(memory) < 100 or step % 2:
        continue
    s, act, r, s2, d = map(torch.tensor, zip(*random.sample(memory, 32)))
    with torch.no_grad():
        goal = r + 0.95 * target(eye[s2]).max(1).values * (~d).float()
    loss = nn.functional.smooth_l1_loss(q(eye[s]).gather(1, act[:, None]).squeeze(1), goal)
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if len(losses) % 40 == 0:
        target.load_state_dict(q.state_dict())
print("goals in the first and last 300 moves", sum(wins[:300]), sum(wins[-300:]))
print("final loss", sum(losses[-10:]) / 10)
