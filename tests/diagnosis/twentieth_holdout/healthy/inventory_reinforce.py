"""Policy gradient for stock ordering; the surrogate loss is noisy and of either sign, the return rises."""
import torch
from torch import nn

torch.manual_seed(5)
policy = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 5))
opt = torch.optim.Adam(policy.parameters(), lr=6e-3)


def rollout(n=48, T=15):
    stock = torch.randint(0, 8, (n,)).float()
    logp, rew, ent = [], [], []
    for t in range(T):
        dist = torch.distributions.Categorical(logits=policy(torch.stack([stock / 5 - 1, torch.full_like(stock, t / T)], 1)))
        a = dist.sample()
        demand = torch.poisson(torch.full((n,), 2.0))
        have = stock + a
        sold = torch.minimum(have, demand)
        stock = (have - sold).clamp(max=15)
        rew.append(3 * sold - 1.0 * a - 0.4 * stock - 1.0 * (demand - sold))
        logp.append(dist.log_prob(a))
        ent.append(dist.entropy())
    return torch.stack(logp), torch.stack(rew), torch.stack(ent)


avg = []
for it in range(260):
    logp, rew, ent = rollout()
    ret = rew.flip(0).cumsum(0).flip(0)
    adv = (ret - ret.mean(1, keepdim=True)) / (ret.std() + 1e-6)
    loss = -(logp * adv).mean() - 0.005 * ent.mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    avg.append(rew.sum(0).mean().item())
    if it % 26 == 0:
        print(it, "loss", round(loss.item(), 4), "return", round(avg[-1], 3))
print("final loss", -sum(avg[-20:]) / 20)
