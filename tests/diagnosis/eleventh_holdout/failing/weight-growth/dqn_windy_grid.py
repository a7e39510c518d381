"""DQN on a small windy grid: bootstrapped targets, replay buffer, epsilon schedule, Huber-free squared TD error.

Cause: weight-growth
Fails: final value 2.782e+08 (with the fix 0.001434); largest backward loss 2.29e+09 at call 2387, first 0.02719
"""
import copy
import random
from collections import deque
import torch
from torch import nn


class Grid:
    SIZE = 5

    def reset(self):
        self.pos, self.t = [0, random.randrange(self.SIZE)], 0
        return self.obs()

    def obs(self):
        o = torch.zeros(2 * self.SIZE)
        o[self.pos[0]] = 1
        o[self.SIZE + self.pos[1]] = 1
        return o

    def step(self, a):
        dx, dy = ((1, 0), (-1, 0), (0, 1), (0, -1))[a]
        if random.random() < 0.1:
            dy += 1
        self.pos[0] = min(max(self.pos[0] + dx, 0), self.SIZE - 1)
        self.pos[1] = min(max(self.pos[1] + dy, 0), self.SIZE - 1)
        self.t += 1
        done = self.pos[0] == self.SIZE - 1 and self.pos[1] == 2
        return self.obs(), (1.0 if done else -0.05), done, self.t >= 25


def make_q():
    return nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 4))


class Agent:
    def __init__(self, gamma=0.9, lr=2e-3):
        self.q = make_q()
        self.target = copy.deepcopy(self.q)
        self.opt = torch.optim.Adam(self.q.parameters(), lr=lr)
        self.buf = deque(maxlen=4000)
        self.gamma = gamma

    def act(self, o, eps):
        if random.random() < eps:
            return random.randrange(4)
        with torch.no_grad():
            return int(self.q(o).argmax())

    def learn(self):
        o, a, r, o2, d = zip(*random.sample(self.buf, 64))
        o, o2, a = torch.stack(o), torch.stack(o2), torch.tensor(a)
        r, d = torch.tensor(r), torch.tensor(d, dtype=torch.float32)
        with torch.no_grad():
            nxt = self.target(o2).max(1).values
            goal = r + (1 - d) * nxt / self.gamma  # fix: goal = r + (1 - d) * nxt * self.gamma
        loss = ((self.q(o).gather(1, a[:, None])[:, 0] - goal) ** 2).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        with torch.no_grad():
            for p, t in zip(self.q.parameters(), self.target.parameters()):
                t.lerp_(p, 0.05)
        return loss.item()


def main():
    random.seed(5)
    torch.manual_seed(5)
    env, ag = Grid(), Agent()
    o, td = env.reset(), []
    for step in range(5000):
        eps = max(0.1, 1 - step / 1500)
        a = ag.act(o, eps)
        o2, r, done, cut = env.step(a)
        ag.buf.append((o, a, r, o2, done))
        o = env.reset() if done or cut else o2
        if step >= 200 and step % 2 == 0:
            td.append(ag.learn())
            if step % 400 == 0:
                print(step, "td", td[-1])
    print("final loss", sum(td[-50:]) / 50)


if __name__ == "__main__":
    main()
