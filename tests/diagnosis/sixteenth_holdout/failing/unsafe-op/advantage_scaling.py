"""Policy gradient on a contextual bandit, advantages standardised per context group.

Cause: unsafe-op
Fails: some groups hold one sample only; their unbiased standard deviation is nan and the policy
is nan from then on.
"""
import torch
import torch.nn as nn

torch.manual_seed(26)
CTX, ARMS = 12, 6
best = torch.randint(0, ARMS, (CTX,))


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(CTX, 24)
        self.mlp = nn.Sequential(nn.Linear(24, 48), nn.Tanh(), nn.Linear(48, ARMS))

    def forward(self, c):
        return torch.distributions.Categorical(logits=self.mlp(self.emb(c)))


def standardise(rew, ctx):
    adv = torch.zeros_like(rew)
    for c in ctx.unique():
        m = ctx == c
        sd = rew[m].std()  # fix: sd = rew[m].std(unbiased=False)
        adv[m] = (rew[m] - rew[m].mean()) / (sd + 1e-4)
    return adv


pi = Policy()
opt = torch.optim.Adam(pi.parameters(), lr=4e-3)
regret = None
for it in range(1500):
    ctx = (torch.rand(64) ** 2 * CTX).long()
    d = pi(ctx)
    a = d.sample()
    rew = (a == best[ctx]).float() + 0.1 * torch.randn(64)
    loss = -(standardise(rew, ctx) * d.log_prob(a)).mean() - 0.005 * d.entropy().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    gap = 1 - d.probs.detach()[torch.arange(64), best[ctx]].mean().item()
    regret = gap if regret is None else 0.97 * regret + 0.03 * gap
    if it % 150 == 0:
        print(f"iter {it} regret {regret:.4f}")
print(f"final loss {regret:.5f}")
