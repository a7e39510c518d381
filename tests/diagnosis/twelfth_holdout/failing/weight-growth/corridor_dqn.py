"""Q-learning with a small network on a corridor: +1 at the right end, small step reward elsewhere.

Cause: weight-growth
Fails: final mean abs error of the value estimate 206.2 (with the fix 0.0003)
"""
import random
from collections import deque
import torch
import torch.nn as nn

random.seed(5)
torch.manual_seed(5)
LENGTH, GAMMA, STEPS = 8, 0.99, 600


class Corridor:
    def reset(self):
        self.s, self.t = random.randint(0, LENGTH - 2), 0
        return self.s

    def step(self, a):
        self.t += 1
        self.s = max(0, self.s + (1 if a == 1 else -1))
        done = self.s == LENGTH - 1
        return self.s, (1.0 if done else -0.02), done, self.t >= 40


def onehot(s):
    return nn.functional.one_hot(torch.as_tensor(s), LENGTH).float()


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(LENGTH, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))

    def forward(self, s):
        return self.net(onehot(s))


class Agent:
    def __init__(self):
        self.q, self.tq = QNet(), QNet()
        self.tq.load_state_dict(self.q.state_dict())
        self.opt = torch.optim.Adam(self.q.parameters(), lr=3e-3)
        self.mem = deque(maxlen=4000)

    def act(self, s, eps):
        if random.random() < eps:
            return random.randrange(2)
        with torch.no_grad():
            return int(self.q(s).argmax())

    def learn(self, n=64):
        s, a, r, s2, d = map(torch.tensor, zip(*random.sample(self.mem, n)))
        with torch.no_grad():
            boot = GAMMA * self.tq(s2).max(1).values
            target = r + (boot + boot * d)  # fix: target = r + boot * (1 - d)
        q = self.q(s).gather(1, a[:, None]).squeeze(1)
        loss = (q - target).pow(2).mean()
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        for p, t in zip(self.q.parameters(), self.tq.parameters()):
            t.data.lerp_(p.data, 0.1)
        return loss.item(), q.mean().item()


env, ag = Corridor(), Agent()
s, done, cut = env.reset(), False, False
for t in range(STEPS * 3 + 100):
    a = ag.act(s, eps=0.5)
    s2, r, done, cut = env.step(a)
    ag.mem.append((s, a, r, s2, float(done)))
    s = env.reset() if done or cut else s2
    if t >= 100 and t % 3 == 0:
        l, q = ag.learn()
        if (t - 100) // 3 % 100 == 0:
            print(f"update {(t - 100) // 3} td {l:.4g} mean q {q:.3g}")

true = torch.tensor([GAMMA ** (LENGTH - 2 - i) - 0.02 * (1 - GAMMA ** (LENGTH - 2 - i)) / (1 - GAMMA) for i in range(LENGTH - 1)])
with torch.no_grad():
    est = ag.q(torch.arange(LENGTH - 1)).max(1).values
print(f"final mean abs error of the value estimate {(est - true).abs().mean().item():.4f}")
