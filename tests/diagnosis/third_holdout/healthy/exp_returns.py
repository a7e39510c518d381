"""REINFORCE on a chain game whose return doubles with every right move; the learning signal is normalised."""
import torch
from torch import nn, optim
from torch.distributions import Categorical


class Policy(nn.Module):
    def __init__(self, n, actions):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n, 32), nn.Tanh(), nn.Linear(32, actions))

    def forward(self, s):
        return Categorical(logits=self.body(s))


def play(policy, n, right, batch=32):
    alive = torch.ones(batch)
    level = torch.zeros(batch)
    logps, ents = [], []
    for t in range(n):
        s = torch.zeros(batch, n)
        s[:, t] = 1
        d = policy(s)
        a = d.sample()
        logps.append(d.log_prob(a) * alive)
        ents.append(d.entropy() * alive)
        alive = alive * (a == right[t]).float()
        level = level + alive
    return torch.stack(logps).sum(0), torch.stack(ents).mean(0), 2.0 ** level


def main(n=12, steps=900):
    torch.manual_seed(7)
    right = torch.randint(0, 3, (n,))
    policy = Policy(n, 3)
    opt = optim.Adam(policy.parameters(), lr=3e-3)
    for step in range(steps):
        logp, ent, ret = play(policy, n, right)
        adv = (ret - ret.mean()) / (ret.std() + 1e-6)
        loss = -(logp * adv).mean() - 0.01 * ent.mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 100 == 0:
            print(step, "return", ret.mean().item())
    with torch.no_grad():
        print("mean return", play(policy, n, right, 256)[2].mean().item())
    print("final loss", loss.item())


main()
