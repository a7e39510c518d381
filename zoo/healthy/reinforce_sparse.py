"""REINFORCE on a corridor where only the far end pays: most episodes give a gradient of exactly zero."""

import torch
from torch import nn
from torch.distributions import Categorical

LENGTH, HORIZON = 5, 14


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(LENGTH, 32), nn.Tanh(), nn.Linear(32, 2))

    def forward(self, place):
        return Categorical(logits=self.net(torch.eye(LENGTH)[place]))


def run_episode(policy):
    place, log_probs = 0, []
    for _ in range(HORIZON):
        dist = policy(place)
        action = dist.sample()
        log_probs.append(dist.log_prob(action))
        place = max(0, place + (1 if action.item() == 1 else -1))
        if place == LENGTH - 1:
            return log_probs, 1.0
    return log_probs, 0.0


torch.manual_seed(5)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
rewards = []
for episode in range(500):
    log_probs, reward = run_episode(policy)
    loss = -reward * torch.stack(log_probs).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    rewards.append(reward)
    if episode % 100 == 99:
        print(f"episode {episode}: success {sum(rewards[-100:])}%")

print("final loss", 1 - sum(rewards[-100:]) / 100)
