"""PPO on a contextual pick task with noisy rewards: the surrogate hovers around zero, gradients are spiky, entropy bonus makes the total negative; judged by regret."""
import torch
from torch import nn


class AC(nn.Module):
    def __init__(self, d=6, k=4, h=48):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(d, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh())
        self.pi, self.v = nn.Linear(h, k), nn.Linear(h, 1)

    def forward(self, x):
        h = self.f(x)
        return torch.distributions.Categorical(logits=self.pi(h)), self.v(h).squeeze(-1)


def means(x):
    return torch.stack([x[:, 0], x[:, 1] * x[:, 2], -x[:, 0] + x[:, 3], torch.sin(2 * x[:, 4])], 1)


def regret(net, n=2000):
    with torch.no_grad():
        x = torch.randn(n, 6)
        m = means(x)
        p = net(x)[0].probs
        return (m.max(1).values - (p * m).sum(1)).mean().item()


torch.manual_seed(66)
net = AC()
opt = torch.optim.Adam(net.parameters(), lr=2e-3, eps=1e-5)
print("start regret", regret(net))
for it in range(120):
    x = torch.randn(512, 6)
    with torch.no_grad():
        dist, v = net(x)
        a = dist.sample()
        lp0 = dist.log_prob(a)
        r = means(x).gather(1, a[:, None])[:, 0] + 1.5 * torch.distributions.StudentT(3.0).sample((512,))
        adv = r - v
        adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    for ep in range(4):
        for idx in torch.randperm(512).split(128):
            dist, v = net(x[idx])
            ratio = (dist.log_prob(a[idx]) - lp0[idx]).exp()
            surr = -torch.min(ratio * adv[idx], ratio.clamp(0.8, 1.2) * adv[idx]).mean()
            loss = surr + 0.1 * nn.functional.smooth_l1_loss(v, r[idx]) - 0.01 * dist.entropy().mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.5)
            opt.step()
    if it % 20 == 0:
        print(it, loss.item(), "regret", regret(net))
print("final loss", regret(net))
