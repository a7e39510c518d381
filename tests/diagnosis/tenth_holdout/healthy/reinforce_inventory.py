"""REINFORCE with entropy bonus for a small inventory game; the surrogate loss means little and swings around zero, the cost per day falls."""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(91)
np.random.seed(91)
MAXQ, HORIZON = 10, 20
policy = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, MAXQ + 1))
value = nn.Sequential(nn.Linear(2, 48), nn.Tanh(), nn.Linear(48, 1))
opt = torch.optim.Adam([*policy.parameters(), *value.parameters()], lr=5e-3)


def rollout(n=48):
    stock = np.full(n, 5.0)
    logps, ents, vals, rewards = [], [], [], []
    for t in range(HORIZON):
        s = torch.tensor(np.stack([stock / 10, np.full(n, t / HORIZON)], 1), dtype=torch.float32)
        dist = torch.distributions.Categorical(logits=policy(s))
        a = dist.sample()
        demand = np.random.poisson(4.0, n)
        have = np.minimum(stock + a.numpy(), 20)
        sold = np.minimum(have, demand)
        stock = have - sold
        rewards.append(torch.tensor(2.0 * sold - 0.3 * stock - 1.0 * a.numpy() - 2.0 * (demand - sold), dtype=torch.float32))
        logps.append(dist.log_prob(a))
        ents.append(dist.entropy())
        vals.append(value(s).squeeze(1))
    return torch.stack(logps), torch.stack(ents), torch.stack(vals), torch.stack(rewards)


daily = []
for it in range(250):
    logp, ent, val, rew = rollout()
    ret = torch.zeros_like(rew)
    acc = torch.zeros(rew.shape[1])
    for t in reversed(range(HORIZON)):
        acc = rew[t] + 0.9 * acc
        ret[t] = acc
    adv = ret - val * 10
    norm_adv = (adv.detach() - adv.detach().mean()) / (adv.detach().std() + 1e-6)
    loss = -(logp * norm_adv).mean() - 0.01 * ent.mean() + 0.005 * adv.pow(2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    opt.step()
    daily.append(-rew.mean().item())
    if it % 25 == 0:
        print(it, "loss", loss.item(), "cost/day", np.mean(daily[-10:]))
print("first", np.mean(daily[:5]))
print("final loss", float(np.mean(daily[-20:])))
