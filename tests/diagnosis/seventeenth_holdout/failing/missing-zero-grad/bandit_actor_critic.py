"""Trains an actor and a critic with two optimizers on a contextual bandit; reports the regret of the policy.
Cause: missing-zero-grad
Fails: the critic error grows exponentially from the first hundreds of steps, and the policy drifts.
"""
import torch
import torch.nn as nn

torch.manual_seed(19)
S, A = 8, 5
truth = torch.randn(S, A)


def mlp(i, o):
    return nn.Sequential(nn.Linear(i, 48), nn.Tanh(), nn.Linear(48, o))


actor, critic = mlp(S, A), mlp(S, 1)
opt_a = torch.optim.Adam(actor.parameters(), lr=3e-3)
opt_c = torch.optim.SGD(critic.parameters(), lr=0.05)
tail = []
for it in range(1500):
    s = torch.randn(64, S)
    dist = torch.distributions.Categorical(logits=actor(s))
    a = dist.sample()
    r = (s @ truth).gather(1, a[:, None]).squeeze(1) * 0.5 + 0.1 * torch.randn(64)
    v = critic(s).squeeze(1)
    critic_loss = (v - r).pow(2).mean()
    opt_a.zero_grad()  # fix: opt_c.zero_grad()
    critic_loss.backward()
    opt_c.step()

    adv = (r - v).detach()
    actor_loss = -(dist.log_prob(a) * adv).mean() - 0.01 * dist.entropy().mean()
    opt_a.zero_grad()
    actor_loss.backward()
    opt_a.step()
    tail.append(critic_loss.item())
    if it % 200 == 0:
        print(it, "critic", round(critic_loss.item(), 4), "reward", round(r.mean().item(), 4))
print("final loss", round(sum(tail[-50:]) / 50, 4))
