"""Self-play value learning (TD to the opponent's own changing net) for a subtraction game; targets move as both sides improve."""
import random, numpy as np, torch
from torch import nn
random.seed(7); torch.manual_seed(7)
MAXN, MOVES = 30, (1, 2, 3)
net = nn.Sequential(nn.Embedding(MAXN + 1, 16), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())   # value for the side to move
opt = torch.optim.SGD(net.parameters(), lr=.1, momentum=.9)

@torch.no_grad()
def best_reply(states):
    """-max over moves of value after the move, seen from the mover"""
    nxt = states[:, None] - torch.tensor(MOVES)[None]
    v = net(nxt.clamp(min=0)).squeeze(-1)
    v = torch.where(nxt == 0, torch.full_like(v, -1.), v)
    v = torch.where(nxt < 0, torch.full_like(v, 9.), v)
    val, arg = (-v).max(1)
    return val.clamp(-1, 1), arg

truth = torch.tensor([-1. if i % 4 == 0 else 1. for i in range(1, MAXN + 1)])
hist = []
for game in range(14000):
    n = torch.randint(1, MAXN + 1, (12,)); seen = []
    for _ in range(4):                                   # a few plies of self-play with exploration
        seen.append(n)
        _, arg = best_reply(n)
        explore = torch.rand(len(n)) < .3
        arg = torch.where(explore, torch.randint(0, 3, arg.shape), arg)
        n = (n - arg - 1); n = torch.where(n <= 0, torch.randint(1, MAXN + 1, n.shape), n)
    s = torch.cat(seen); tgt, _ = best_reply(s)
    loss = (net(s).squeeze(1) - tgt).pow(2).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    if game == 9000: opt.param_groups[0]["lr"] = .02
    hist.append(loss.item())
    if game % 1000 == 0:
        with torch.no_grad(): ok = (net(torch.arange(1, MAXN + 1)).squeeze(1).sign() == truth).float().mean().item()
        print(f"game-batch {game} loss {np.mean(hist[-200:]):.5f} solved states {ok:.2f}")
print(f"final loss {np.mean(hist[-500:]):.6f}")
