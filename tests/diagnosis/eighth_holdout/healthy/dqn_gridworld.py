"""Double DQN on a windy grid; the TD loss rises from zero as rewards are found and jumps at target updates.
"""
import random
import torch
import torch.nn as nn

torch.manual_seed(0)
random.seed(0)
N, GOAL = 5, (4, 4)


def env_step(s, a):
    r, c = s
    dr, dc = [(-1, 0), (1, 0), (0, -1), (0, 1)][a]
    if random.random() < 0.1:
        dr, dc = -1, 0
    s2 = (min(max(r + dr, 0), N - 1), min(max(c + dc, 0), N - 1))
    return s2, (10.0 if s2 == GOAL else -0.1), s2 == GOAL


def feat(s):
    v = torch.zeros(2 * N)
    v[s[0]] = 1
    v[N + s[1]] = 1
    return v


q = nn.Sequential(nn.Linear(2 * N, 64), nn.ReLU(), nn.Linear(64, 4))
tgt = nn.Sequential(nn.Linear(2 * N, 64), nn.ReLU(), nn.Linear(64, 4))
tgt.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), 1.5e-3)
mem, s, ret, rets, ep = [], (0, 0), 0.0, [], 0
for t in range(5000):
    eps = max(0.05, 1 - t / 2500)
    with torch.no_grad():
        a = random.randrange(4) if random.random() < eps else q(feat(s)).argmax().item()
    s2, r, done = env_step(s, a)
    mem.append((feat(s), a, r, feat(s2), float(done)))
    mem = mem[-3000:]
    s, ret, ep = s2, ret + r, ep + 1
    if done or ep > 60:
        rets.append(ret)
        s, ret, ep = (0, 0), 0.0, 0
    if t > 100 and t % 2 == 0:
        S, A, R, S2, D = zip(*random.sample(mem, 32))
        S, S2, A, R, D = torch.stack(S), torch.stack(S2), torch.tensor(A), torch.tensor(R), torch.tensor(D)
        with torch.no_grad():
            y = R + 0.95 * (1 - D) * tgt(S2).gather(1, q(S2).argmax(1, keepdim=True)).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q(S).gather(1, A[:, None]).squeeze(1), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    if t % 400 == 399:
        tgt.load_state_dict(q.state_dict())
        print(t, "td", round(loss.item(), 4), "return", round(sum(rets[-10:]) / max(1, len(rets[-10:])), 2))
print("final loss", -sum(rets[-20:]) / 20)
