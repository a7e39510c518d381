"""REINFORCE with a running baseline in a corridor with one rare reward at its end; zero return for long stretches at first."""
import random
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(14)
random.seed(14)

LEN, MAXT, N = 6, 24, 16
w1 = torch.nn.Parameter(torch.randn(LEN, 32) * 0.3)
w2 = torch.nn.Parameter(torch.zeros(32, 2))
opt = torch.optim.Adam([w1, w2], lr=1e-2)
baseline, returns = 0.0, []

for ep in range(350):
    pos = torch.zeros(N, dtype=torch.long)
    alive = torch.ones(N)
    ret = torch.zeros(N)
    logps, ents = [], []
    for t in range(MAXT):
        d = torch.distributions.Categorical(logits=torch.tanh(w1[pos]) @ w2)
        a = d.sample()
        logps.append(d.log_prob(a) * alive)
        ents.append(d.entropy() * alive)
        # one step in ten slips
        slip = torch.rand(N) < 0.1
        a = torch.where(slip, 1 - a, a)
        pos = (pos + 2 * a - 1).clamp(0, LEN - 1)
        done = (pos == LEN - 1) & (alive > 0)
        ret = ret + done.float() * 0.97 ** t
        alive = alive * (~done).float()
        if alive.sum() == 0:
            break
    adv = ret - baseline
    baseline = 0.9 * baseline + 0.1 * ret.mean().item()
    loss = -(torch.stack(logps).sum(0) * adv).mean() - 0.01 * torch.stack(ents).sum(0).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    returns.append(ret.mean().item())
    if ep % 35 == 0:
        print(f"episode batch {ep}: surrogate {loss.item():+.4f}  return {returns[-1]:.3f}")
print("final loss", -sum(returns[-20:]) / 20)
