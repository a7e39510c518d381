"""Recurrent actor-critic for a small card game with illegal moves masked out, entropy bonus.

Cause: unsafe-op
Fails: the loss is not finite from step 0 on; regret 5.09 at first, 4.96 at the end (with the fix 1.19)
"""
import torch
import torch.nn as nn

torch.manual_seed(88)
CARDS, TURNS, N = 6, 5, 48


class Game:
    """Every turn a target is shown; playing the closest card still in hand gives the best reward."""

    def reset(self):
        self.hand = torch.ones(N, CARDS, dtype=torch.bool)
        self.deal()
        return self.obs()

    def deal(self):
        self.target = torch.randint(0, CARDS, (N,))

    def obs(self):
        return torch.cat([nn.functional.one_hot(self.target, CARDS).float(), self.hand.float()], 1)

    def play(self, a):
        r = 1.0 - (a - self.target).abs().float() / 2
        self.hand = self.hand.clone()
        self.hand[torch.arange(N), a] = False
        self.deal()
        return self.obs(), r


class Agent(nn.Module):
    def __init__(self, h=48):
        super().__init__()
        self.cell = nn.GRUCell(2 * CARDS, h)
        self.pi, self.v = nn.Linear(h + 2 * CARDS, CARDS), nn.Linear(h + 2 * CARDS, 1)

    def forward(self, o, h, legal):
        h = self.cell(o, h)
        z = torch.cat([h, o], 1)
        logits = self.pi(z).masked_fill(~legal, -float("inf"))
        return logits.softmax(-1), self.v(z)[:, 0], h


def entropy(probs):
    return -(probs * probs.log()).sum(-1)  # fix: return -(probs * probs.clamp_min(1e-8).log()).sum(-1)


game, agent = Game(), Agent()
opt = torch.optim.Adam(agent.parameters(), lr=8e-3)
scores = []
for ep in range(350):
    o, h = game.reset(), torch.zeros(N, 48)
    lp, vs, rs, ent = [], [], [], []
    for _ in range(TURNS):
        p, v, h = agent(o, h, game.hand)
        a = torch.multinomial(p.detach().nan_to_num(1.0), 1)
        lp.append(p.gather(1, a).squeeze(1).clamp_min(1e-8).log())
        ent.append(entropy(p))
        vs.append(v)
        o, r = game.play(a.squeeze(1))
        rs.append(r)
    lp, vs, rs, ent = map(torch.stack, (lp, vs, rs, ent))
    ret = rs.flip(0).cumsum(0).flip(0)
    adv = ret - vs.detach()
    loss = -(lp * adv).mean() + 0.5 * (vs - ret).pow(2).mean() - 0.02 * ent.mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(agent.parameters(), 1.0)
    opt.step()
    scores.append(rs.sum(0).mean().item())
    if ep % 50 == 0:
        print(f"ep {ep} score {scores[-1]:.3f} loss {loss.item():.3f}")
print("final loss", TURNS - sum(scores[-20:]) / 20)
