"""A message-passing network finds the community of a node in random graphs, with a hand-made loss scale.

Cause: clip-before-unscale
Fails: clip_grad_value_ cuts the scaled gradients, divided by the scale they are too small to move anything
"""
import torch
import torch.nn.functional as F
from torch import nn

SCALE = 4096.0
CLIP = 0.5


def planted(n=60, k=3, p_in=0.35, p_out=0.04):
    lab = torch.randint(0, k, (n,))
    prob = torch.where(lab[:, None] == lab[None], p_in, p_out)
    upper = (torch.rand(n, n) < prob).triu(1)
    src, dst = (upper | upper.T).nonzero(as_tuple=True)
    x = torch.randn(n, 8) * 0.7
    x[torch.arange(n), lab] += 0.8
    return x, src, dst, lab


class MP(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.me, self.nb = nn.Linear(i, o), nn.Linear(i, o, bias=False)

    def forward(self, x, src, dst):
        agg = torch.zeros_like(x).index_add_(0, dst, x[src])
        deg = torch.zeros(len(x), 1).index_add_(0, dst, torch.ones(len(src), 1)).clamp(min=1)
        return self.me(x) + self.nb(agg / deg)


class GNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = MP(8, 32), MP(32, 32), nn.Linear(32, 3)

    def forward(self, x, s, d):
        return self.c(F.relu(self.b(F.relu(self.a(x, s, d)), s, d)))


torch.manual_seed(44)
net = GNN()
params = list(net.parameters())
opt = torch.optim.SGD(params, lr=0.2)
log = []
for step in range(700):
    x, s, d, y = planted()
    loss = F.cross_entropy(net(x, s, d), y)
    scaled = loss * SCALE
    for p in params:
        p.grad = None
    scaled.backward()
    nn.utils.clip_grad_value_(params, CLIP)  # fix: nn.utils.clip_grad_value_(params, CLIP * SCALE)
    torch._foreach_div_([p.grad for p in params], SCALE)
    opt.step()
    log.append(loss.item())
print("first loss", log[0])
print("final loss", sum(log[-50:]) / 50)
