"""PPO on a chain of states: the clipped objective hovers around zero and says nothing; the return rises."""

import torch
from torch import nn
from torch.distributions import Categorical

STATES, HORIZON, RUNS = 7, 16, 16


def play(policy):
    """Right moves on, left goes back to the start; only the last state pays."""
    position = torch.zeros(RUNS, dtype=torch.long)
    record = []
    for _ in range(HORIZON):
        seen = nn.functional.one_hot(position, STATES).float()
        with torch.no_grad():
            choice = Categorical(logits=policy(seen))
            action = choice.sample()
            log_p = choice.log_prob(action)
        slip = torch.rand(RUNS) < 0.05
        right = (action == 1) & ~slip
        position = torch.where(right, (position + 1).clamp(max=STATES - 1), torch.zeros_like(position))
        record.append((seen, action, log_p, (position == STATES - 1).float()))
    return [torch.stack(part) for part in zip(*record)]


def to_go(reward, discount=0.95):
    total, out = torch.zeros(RUNS), []
    for r in reward.flip(0):
        total = r + discount * total
        out.append(total)
    return torch.stack(out[::-1])


torch.manual_seed(3)
actor = nn.Sequential(nn.Linear(STATES, 32), nn.Tanh(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(STATES, 32), nn.Tanh(), nn.Linear(32, 1))
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-2)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=2e-2)
returns = []
for iteration in range(60):
    seen, action, old, reward = play(actor)
    target = to_go(reward)
    advantage = target - critic(seen).squeeze(2).detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    for _ in range(4):
        choice = Categorical(logits=actor(seen))
        ratio = (choice.log_prob(action) - old).exp()
        gain = torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        loss = -(gain + 0.01 * choice.entropy()).mean()
        actor_optimizer.zero_grad()
        loss.backward()
        actor_optimizer.step()

        value_loss = nn.functional.mse_loss(critic(seen).squeeze(2), target)
        critic_optimizer.zero_grad()
        value_loss.backward()
        critic_optimizer.step()
    returns.append(reward.sum(0).mean().item())
    if iteration % 10 == 0:
        print(f"iteration {iteration}: reward {returns[-1]:.3f} objective {loss.item():.4f}")
print("first loss", -returns[0])
print("final loss", -sum(returns[-10:]) / 10)
