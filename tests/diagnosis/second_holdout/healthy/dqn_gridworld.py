"""DQN with a target network on a small grid world; the TD loss rises as values come in, then settles."""
import random
import torch
import torch.nn as nn

random.seed(0)
torch.manual_seed(0)
N = 5
MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]


def obs(s):
    v = torch.zeros(2 * N)
    v[s[0]] = 1
    v[N + s[1]] = 1
    return v


def env_step(s, a):
    n = (min(max(s[0] + MOVES[a][0], 0), N - 1), min(max(s[1] + MOVES[a][1], 0), N - 1))
    goal = n == (N - 1, N - 1)
    return n, 10.0 if goal else -0.1, goal


q = nn.Sequential(nn.Linear(2 * N, 64), nn.ReLU(), nn.Linear(64, 4))
target = nn.Sequential(nn.Linear(2 * N, 64), nn.ReLU(), nn.Linear(64, 4))
target.load_state_dict(q.state_dict())
opt = torch.optim.Adam(q.parameters(), lr=2e-3)
buffer, s, hist, lengths, t0 = [], (0, 0), [], [], 0
for step in range(3000):
    eps = max(0.1, 1 - step / 1500)
    a = random.randrange(4) if random.random() < eps else int(q(obs(s)).argmax())
    n, r, done = env_step(s, a)
    buffer.append((obs(s), a, r, obs(n), float(done)))
    s = (0, 0) if done else n
    if done:
        lengths.append(step - t0)
        t0 = step
    if step > 200 and step % 2 == 0:
        bs, ba, br, bn, bd = zip(*random.sample(buffer, 32))
        with torch.no_grad():
            tgt = torch.tensor(br) + 0.95 * (1 - torch.tensor(bd)) * target(torch.stack(bn)).amax(1)
        pred = q(torch.stack(bs)).gather(1, torch.tensor(ba)[:, None])[:, 0]
        loss = nn.functional.smooth_l1_loss(pred, tgt)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
    if step % 150 == 0:
        target.load_state_dict(q.state_dict())
    if step % 500 == 0 and hist:
        print(step, "td", sum(hist[-50:]) / 50)
print("episode length", sum(lengths[:20]) / 20, "->", sum(lengths[-20:]) / 20)
print("final loss", sum(hist[-100:]) / 100)
