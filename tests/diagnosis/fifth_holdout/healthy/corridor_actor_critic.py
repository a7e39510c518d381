"""Actor-critic in a corridor with a single reward at its end; noisy and rewardless at first. Loss printed is the negative mean return."""
import torch
import torch.nn as nn
import torch.nn.functional as F

LENGTH, LIMIT, ENVS = 8, 30, 32


class Corridor:
    def __init__(self, gen):
        self.gen = gen

    def reset(self):
        self.pos = torch.zeros(ENVS, dtype=torch.long)
        self.done = torch.zeros(ENVS, dtype=torch.bool)
        return self.view()

    def view(self):
        return F.one_hot(self.pos, LENGTH).float()

    def step(self, act):
        slip = torch.rand(ENVS, generator=self.gen) < 0.1
        move = torch.where(slip, -1, act * 2 - 1)
        live = ~self.done
        self.pos = torch.where(live, (self.pos + move).clamp(0, LENGTH - 1), self.pos)
        goal = live & (self.pos == LENGTH - 1)
        self.done = self.done | goal
        return self.view(), goal.float(), live


torch.manual_seed(60)
actor = nn.Sequential(nn.Linear(LENGTH, 32), nn.Tanh(), nn.Linear(32, 2))
critic = nn.Sequential(nn.Linear(LENGTH, 32), nn.Tanh(), nn.Linear(32, 1))
nn.init.zeros_(actor[-1].weight)
opt_a = torch.optim.Adam(actor.parameters(), lr=3e-3)
opt_c = torch.optim.Adam(critic.parameters(), lr=1e-2)
env = Corridor(torch.Generator().manual_seed(60))
history = []
for episode in range(200):
    obs = env.reset()
    logps, ents, values, rewards, masks = [], [], [], [], []
    for _ in range(LIMIT):
        dist = torch.distributions.Categorical(logits=actor(obs))
        act = dist.sample()
        values.append(critic(obs)[:, 0])
        logps.append(dist.log_prob(act))
        ents.append(dist.entropy())
        obs, r, live = env.step(act)
        rewards.append(r)
        masks.append(live.float())
        if bool(env.done.all()):
            break
    ret, rets = torch.zeros(ENVS), []
    for r in reversed(rewards):
        ret = r + 0.95 * ret
        rets.insert(0, ret)
    R, V, M = torch.stack(rets), torch.stack(values), torch.stack(masks)
    adv = (R - V).detach()
    policy_loss = -((torch.stack(logps) * adv + 0.01 * torch.stack(ents)) * M).sum() / M.sum()
    value_loss = ((R - V).square() * M).sum() / M.sum()
    opt_a.zero_grad()
    opt_c.zero_grad()
    (policy_loss + value_loss).backward()
    opt_a.step()
    opt_c.step()
    history.append(R[0].mean().item())
    if episode % 20 == 0:
        print("episode", episode, "return", history[-1], "policy", policy_loss.item(), "value", value_loss.item())
print("final loss", -sum(history[-20:]) / 20)
