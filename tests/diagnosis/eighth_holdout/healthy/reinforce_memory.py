"""REINFORCE with a GRU policy on a cue-memory corridor; the surrogate loss is noisy and changes sign."""
import torch
import torch.nn as nn


class Corridor:
    """A cue at t=0, then nothing; the last action must match the cue."""

    def __init__(self, envs, length):
        self.n, self.length = envs, length

    def reset(self):
        self.cue = torch.randint(0, 2, (self.n,))
        obs = torch.zeros(self.length, self.n, 3)
        obs[0, torch.arange(self.n), self.cue] = 1
        obs[-1, :, 2] = 1
        return obs

    def reward(self, actions):
        return torch.where(actions == self.cue, 1.0, -1.0)


class Policy(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.cell = nn.GRUCell(3, h)
        self.pi = nn.Linear(h, 2)
        self.vf = nn.Linear(h, 1)

    def forward(self, obs):
        h = obs.new_zeros(obs.shape[1], self.cell.hidden_size)
        for o in obs:
            h = self.cell(o, h)
        return torch.distributions.Categorical(logits=self.pi(h)), self.vf(h)[:, 0]


torch.manual_seed(5)
env, net = Corridor(64, 10), Policy()
opt = torch.optim.Adam(net.parameters(), lr=4e-3)
returns = []
for ep in range(300):
    dist, value = net(env.reset())
    act = dist.sample()
    ret = env.reward(act) + 0.3 * torch.randn(64)
    adv = ret - value.detach()
    loss = -(dist.log_prob(act) * adv).mean() + 0.5 * (value - ret).pow(2).mean() - 0.01 * dist.entropy().mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    opt.step()
    returns.append(ret.mean().item())
    if ep % 50 == 0:
        print(f"episode {ep} loss {loss.item():+.3f} return {returns[-1]:+.3f}")
print("final loss", -sum(returns[-20:]) / 20)
