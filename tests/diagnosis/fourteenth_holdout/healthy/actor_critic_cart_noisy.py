"""Advantage actor-critic balances a pole that is simulated in torch: returns and losses jump about and the loss
changes its sign; the length of the episodes grows."""

import torch
from torch import nn

torch.manual_seed(37)
POLES = 32


def push(state, action):
    angle, speed = state.unbind(1)
    force = action.float() * 2 - 1
    speed = speed + 0.05 * (9.8 * torch.sin(angle) + 6.0 * force * torch.cos(angle)) + 0.02 * torch.randn(POLES)
    angle = angle + 0.05 * speed
    fallen = angle.abs() > 0.6
    fresh = 0.1 * torch.randn(POLES, 2)
    return torch.where(fallen[:, None], fresh, torch.stack([angle, speed], 1)), fallen


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2, 48), nn.Tanh())
        self.actor, self.critic = nn.Linear(48, 2), nn.Linear(48, 1)

    def forward(self, state):
        h = self.body(state)
        return torch.distributions.Categorical(logits=self.actor(h)), self.critic(h).squeeze(-1)


agent = ActorCritic()
optimizer = torch.optim.RMSprop(agent.parameters(), lr=3e-3)
state = 0.1 * torch.randn(POLES, 2)
losses, falls = [], []
for iteration in range(250):
    log_ps, values, rewards, masks, entropies = [], [], [], [], []
    for _ in range(16):
        policy, value = agent(state * 3)
        action = policy.sample()
        state, fallen = push(state, action)
        log_ps.append(policy.log_prob(action))
        entropies.append(policy.entropy())
        values.append(value)
        rewards.append(-5.0 * fallen.float())
        masks.append(1.0 - fallen.float())
    with torch.no_grad():
        running = agent(state * 3)[1]
    targets = []
    for reward, mask in zip(rewards[::-1], masks[::-1]):
        running = reward + 0.97 * running * mask
        targets.insert(0, running)
    advantage = torch.stack(targets) - torch.stack(values)
    loss = -(torch.stack(log_ps) * advantage.detach()).mean() + 0.5 * advantage.square().mean() - 0.01 * torch.stack(entropies).mean()
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
    optimizer.step()
    losses.append(loss.item())
    falls.append(-torch.stack(rewards).sum().item() / 5)
    if iteration % 25 == 0:
        print(iteration, f"loss {losses[-1]:.4f}, falls {falls[-1]:.0f}")
print("falls", sum(falls[:20]) / 20, "->", sum(falls[-20:]) / 20)
print("final loss", sum(losses[-20:]) / 20)
