"""Actor-critic on a little spring-mass balancing task written by hand, two optimizers.
Cause: missing-zero-grad
Fails: the value loss grows from 345 to about 2500, swinging between (fixed run 0.02)
"""
import torch
import torch.nn as nn

torch.manual_seed(31)


class Springs:
    def __init__(self, n):
        self.n = n

    def reset(self):
        self.s = torch.randn(self.n, 2)
        return self.s

    def step(self, a):
        x, v = self.s.unbind(1)
        v = v + 0.1 * (0.8 * x - 0.2 * v + 2.0 * a)
        x = (x + 0.1 * v).clamp(-4, 4)
        self.s = torch.stack([x, v.clamp(-6, 6)], 1)
        return self.s, 1.0 - 0.5 * x * x - 0.05 * a * a


env = Springs(64)
actor = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
log_std = nn.Parameter(torch.tensor(-0.5))
critic = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
opt_pi = torch.optim.Adam([*actor.parameters(), log_std], lr=3e-3)
opt_v = torch.optim.SGD(critic.parameters(), lr=0.02)
gamma = 0.9
vlosses, returns = [], []
for it in range(400):
    s = env.reset()
    S, LP, R = [], [], []
    for t in range(20):
        dist = torch.distributions.Normal(actor(s).squeeze(1), log_std.exp())
        a = dist.sample()
        S.append(s)
        LP.append(dist.log_prob(a))
        s, r = env.step(a)
        R.append(r)
    with torch.no_grad():
        g = critic(s).squeeze(1).clamp(-50, 10)
        G = []
        for r in reversed(R):
            g = r + gamma * g
            G.append(g)
        G = torch.stack(G[::-1])
    V = critic(torch.stack(S)).squeeze(-1)
    adv = (G - V).detach()
    adv = (adv - adv.mean()) / (adv.std() + 1e-6)
    pi_loss = -(adv * torch.stack(LP)).mean()
    opt_pi.zero_grad()
    pi_loss.backward()
    opt_pi.step()
    v_loss = (V - G).pow(2).mean()
    opt_pi.zero_grad()  # fix: opt_v.zero_grad()
    v_loss.backward()
    opt_v.step()
    vlosses.append(v_loss.item())
    returns.append(torch.stack(R).mean().item())
    if it % 40 == 0:
        print(f"iter {it} value loss {vlosses[-1]:.3f} reward {returns[-1]:.3f}")
print("final loss", sum(vlosses[-20:]) / 20)
