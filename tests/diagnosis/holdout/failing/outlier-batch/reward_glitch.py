"""REINFORCE with a learned baseline on a contextual bandit, the reward service glitches once.

Cause: outlier-batch
Fails: at one update a single reward is ten million, the value loss explodes and the policy never recovers
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
N_ACT, N_CTX, BATCH = 5, 8, 64
best = torch.randn(N_CTX, N_ACT)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(N_CTX, 64)
        self.pi = nn.Linear(64, N_ACT)
        self.v = nn.Linear(64, 1)

    def forward(self, s):
        h = torch.tanh(self.shared(s))
        return F.log_softmax(self.pi(h), dim=-1), self.v(h).squeeze(-1)


class Env:
    def __init__(self):
        self.calls = 0

    def pull(self, ctx, act):
        self.calls += 1
        r = (best[ctx.argmax(1), act] > 0.5).float() + 0.1 * torch.randn(len(act))
        if self.calls == 181:
            r[17] = 1.0e7  # a counter wrapped around in the reward service
        return r


env, net = Env(), ActorCritic()
optim = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)
history, rewards = [], []
for it in range(360):
    ctx = F.one_hot(torch.randint(0, N_CTX, (BATCH,)), N_CTX).float()
    logp, value = net(ctx)
    # Gumbel trick, so that sampling works for any logits
    u = torch.rand_like(logp).clamp(1e-6, 1 - 1e-6)
    act = (logp.detach() - torch.log(-torch.log(u))).argmax(-1)
    reward = env.pull(ctx, act)
    # fix: reward = reward.clamp(-2.0, 2.0)
    adv = reward - value.detach()
    policy_loss = -(logp.gather(1, act[:, None]).squeeze(1) * adv).mean()
    value_loss = F.mse_loss(value, reward)
    loss = policy_loss + 0.5 * value_loss
    optim.zero_grad()
    loss.backward()
    optim.step()
    history.append(value_loss.item() + 1.0 - reward.clamp(-2, 2).mean().item())
    rewards.append(reward.clamp(-2, 2).mean().item())
    if it % 60 == 59:
        print(f"iter {it + 1} mean reward {sum(rewards[-30:]) / 30:.3f}")
print("final loss", sum(history[-10:]) / 10)
