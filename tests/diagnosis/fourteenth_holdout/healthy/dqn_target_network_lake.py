"""DQN with replay and a target net that is copied every 60 steps, on a grid walk: the temporal-difference loss rises
after every copy and wanders about, the returns get better."""

import collections
import random

import torch
from torch import nn

random.seed(94)
torch.manual_seed(94)
SIDE = 4
MOVES = [(0, 1), (0, -1), (1, 0), (-1, 0)]


def encode(place):
    x = torch.zeros(SIDE * SIDE)
    x[place[0] * SIDE + place[1]] = 1.0
    return x


def act(place, move):
    new = tuple(min(SIDE - 1, max(0, p + d)) for p, d in zip(place, MOVES[move]))
    if new == (SIDE - 1, SIDE - 1):
        return new, 4.0, True
    if new in {(1, 2)}:
        return new, -4.0, True
    return new, -0.5, False


def network():
    return nn.Sequential(nn.Linear(SIDE * SIDE, 48), nn.ReLU(), nn.Linear(48, 4))


q, target = network(), network()
target.load_state_dict(q.state_dict())
optimizer = torch.optim.Adam(q.parameters(), lr=2e-3)
replay = collections.deque(maxlen=2000)
losses, returns = [], []
steps, place, total, age = 0, (0, 0), 0.0, 0
while steps < 1500:
    epsilon = max(0.05, 1 - steps / 900)
    with torch.no_grad():
        move = random.randrange(4) if random.random() < epsilon else int(q(encode(place)).argmax())
    new, reward, done = act(place, move)
    replay.append((encode(place), move, reward, encode(new), float(done)))
    total, age = total + reward, age + 1
    place = new
    if done or age >= 30:
        returns.append(total)
        place, total, age = (0, 0), 0.0, 0
    steps += 1
    if len(replay) < 64:
        continue
    s, a, r, s2, d = zip(*random.sample(replay, 32))
    with torch.no_grad():
        aim = torch.tensor(r) + 0.97 * target(torch.stack(s2)).max(1).values * (1 - torch.tensor(d))
    guess = q(torch.stack(s)).gather(1, torch.tensor(a)[:, None]).squeeze(1)
    loss = nn.functional.smooth_l1_loss(guess, aim)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(q.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    if steps % 60 == 0:
        target.load_state_dict(q.state_dict())
    if steps % 250 == 0:
        print(steps, f"loss {losses[-1]:.4f}", f"return {sum(returns[-10:]) / 10:.2f}")
print("return", sum(returns[:10]) / 10, "->", sum(returns[-10:]) / 10)
print("final loss", sum(losses[-30:]) / 30)
