"""REINFORCE with a baseline and an entropy bonus on a corridor in which one has to walk to the lamp.

Cause: unsafe-op
Fails: the loss is NaN from episode 1 on
"""

import torch
from torch import nn

torch.manual_seed(73)
CELLS, WALKERS = 9, 48


class Corridor:
    def reset(self):
        self.place = torch.randint(0, CELLS, (WALKERS,))
        self.lamp = torch.randint(0, CELLS, (WALKERS,))
        return self.observe()

    def observe(self):
        return torch.cat([nn.functional.one_hot(self.place, CELLS), nn.functional.one_hot(self.lamp, CELLS)], 1).float()

    def step(self, action):
        self.place = (self.place + action - 1).clamp(0, CELLS - 1)
        return self.observe(), -(self.place - self.lamp).abs().float() / CELLS


policy = nn.Sequential(nn.Linear(2 * CELLS, 48), nn.Tanh(), nn.Linear(48, 3))
value = nn.Sequential(nn.Linear(2 * CELLS, 48), nn.Tanh(), nn.Linear(48, 1))
optimizer = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=0.02)
corridor, losses, returns = Corridor(), [], []


def allowed_logits(seen):
    place = seen[:, :CELLS].argmax(1)
    walls = torch.stack([place == 0, place < 0, place == CELLS - 1], 1)
    return policy(seen).masked_fill(walls, -torch.inf)


def entropy(p):
    return -(p * p.log()).nansum(-1)  # fix: return -(p * p.clamp(min=1e-6).log()).sum(-1)


for episode in range(150):
    seen = corridor.reset()
    observations, actions, rewards = [], [], []
    for _ in range(10):
        with torch.no_grad():
            action = (allowed_logits(seen) - torch.empty(WALKERS, 3).exponential_().log()).argmax(1)
        observations.append(seen)
        actions.append(action)
        seen, reward = corridor.step(action)
        rewards.append(reward)
    observed, acted = torch.cat(observations), torch.cat(actions)
    to_go = torch.stack(rewards).flip(0).cumsum(0).flip(0).flatten()
    logits = allowed_logits(observed)
    p = logits.softmax(-1)
    baseline = value(observed).squeeze(1)
    advantage = (to_go - baseline).detach()
    chosen = nn.functional.log_softmax(logits, -1).gather(1, acted[:, None]).squeeze(1)
    loss = -(chosen * advantage).mean() + 0.5 * (to_go - baseline).square().mean() - 0.01 * entropy(p).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    returns.append(torch.stack(rewards).sum(0).mean().item())
    if episode % 20 == 0:
        print(episode, losses[-1], returns[-1])
print("return", sum(returns[-10:]) / 10)
print("final loss", sum(losses[-10:]) / 10)
