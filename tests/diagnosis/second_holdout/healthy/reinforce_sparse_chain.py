"""REINFORCE with a baseline on a chain with a reward only at its end: nothing for long, then noise."""
import torch
import torch.nn as nn

torch.manual_seed(5)
LENGTH, HORIZON, ENVS = 11, 16, 48
policy = nn.Sequential(nn.Linear(LENGTH, 32), nn.Tanh(), nn.Linear(32, 2))
opt = torch.optim.Adam(policy.parameters(), lr=5e-3)
baseline = 0.0
returns = []
for episode in range(400):
    pos = torch.zeros(ENVS, dtype=torch.long)
    done = torch.zeros(ENVS, dtype=torch.bool)
    total = torch.zeros(ENVS)
    logps = []
    for t in range(HORIZON):
        dist = torch.distributions.Categorical(logits=policy(nn.functional.one_hot(pos, LENGTH).float()))
        act = dist.sample()
        logps.append(dist.log_prob(act) * ~done)
        pos = torch.where(done, pos, torch.where(act == 1, pos + 1, torch.zeros_like(pos)))
        hit = (pos >= LENGTH - 1) & ~done
        total += hit.float() * (1 - t / (2 * HORIZON))
        done |= hit
        pos = pos.clamp(max=LENGTH - 1)
    adv = total - baseline
    baseline = 0.9 * baseline + 0.1 * total.mean().item()
    loss = -(torch.stack(logps).sum(0) * adv).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    returns.append(total.mean().item())
    if episode % 25 == 0:
        print("episode", episode, "return", returns[-1], "loss", loss.item())
print("return", sum(returns[-20:]) / 20)
print("final loss", -sum(returns[-20:]) / 20)
