"""Policy gradient on a short corridor whose only reward lies at the far end, with a moving baseline."""
import torch
from torch import nn

torch.manual_seed(18)
N, HORIZON, LANES = 6, 16, 64
policy = nn.Sequential(nn.Linear(N, 24), nn.Tanh(), nn.Linear(24, 2))
opt = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline, miss = 0.0, []
for episode in range(140):
    pos = torch.zeros(LANES, dtype=torch.long)
    alive = torch.ones(LANES)
    logp, ret = torch.zeros(LANES), torch.zeros(LANES)
    for t in range(HORIZON):
        dist = torch.distributions.Categorical(logits=policy(nn.functional.one_hot(pos, N).float()))
        a = dist.sample()
        logp = logp + alive * dist.log_prob(a)
        pos = (pos + 2 * a - 1).clamp(0, N - 1)
        won = (pos == N - 1).float() * alive
        ret = ret + won * 0.97 ** t
        alive = alive - won
    loss = -((ret - baseline) * logp).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    baseline = 0.9 * baseline + 0.1 * ret.mean().item()
    miss.append(1 - ret.mean().item())
print("first loss", sum(miss[:5]) / 5)
print("final loss", sum(miss[-15:]) / 15)
