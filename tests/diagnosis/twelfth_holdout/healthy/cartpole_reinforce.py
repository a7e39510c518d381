"""REINFORCE with a running baseline on a hand-written cart-pole."""
import math
import torch
import torch.nn as nn

torch.manual_seed(1)


def physics(s, a):
    x, v, th, w = s.unbind(1)
    f = torch.where(a == 1, 10.0, -10.0)
    c, sn = th.cos(), th.sin()
    tmp = (f + 0.05 * w ** 2 * sn) / 1.1
    acc = (9.8 * sn - c * tmp) / (0.5 * (4 / 3 - 0.1 * c ** 2 / 1.1))
    xa = tmp - 0.05 * acc * c / 1.1
    return torch.stack([x + 0.02 * v, v + 0.02 * xa, th + 0.02 * w, w + 0.02 * acc], 1)


pi = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 2))
opt = torch.optim.Adam(pi.parameters(), lr=2e-2)
N, HOR = 8, 80


def rollout(n, greedy=False):
    s = 0.1 * torch.rand(n, 4) - 0.05
    alive = torch.ones(n)
    logps, masks, rews = [], [], []
    for _ in range(HOR):
        logits = pi(s)
        dist = torch.distributions.Categorical(logits=logits)
        a = logits.argmax(1) if greedy else dist.sample()
        logps.append(dist.log_prob(a))
        masks.append(alive)
        s = physics(s, a).detach()
        alive = alive * ((s[:, 0].abs() < 2.4) & (s[:, 2].abs() < 12 * math.pi / 180)).float()
        rews.append(alive)
        if alive.sum() == 0:
            break
    return torch.stack(logps), torch.stack(masks), torch.stack(rews)


lens = []
for it in range(100):
    lp, m, r = rollout(N)
    ret = torch.zeros_like(r)
    g = torch.zeros(N)
    for t in reversed(range(len(r))):
        g = r[t] + 0.98 * g
        ret[t] = g
    adv = ret - (ret * m).sum() / m.sum()
    adv = adv / (((adv ** 2 * m).sum() / m.sum()).sqrt() + 1e-6)
    loss = -(lp * adv * m).sum() / N
    opt.zero_grad()
    loss.backward()
    opt.step()
    lens.append(r.sum(0).mean().item())
    if it % 20 == 0:
        print(f"iter {it} loss {loss.item():.3f} mean length {sum(lens[-10:]) / len(lens[-10:]):.1f}")
with torch.no_grad():
    _, _, r = rollout(50, greedy=True)
print(f"final mean episode length (max {HOR}): {r.sum(0).mean().item():.2f}")
