"""Vote-counting GRU (majority of a ballot string) with a hand-made loss scale and element-wise clipping.

Cause: clip-before-unscale
Fails: values are clipped at 0.5 in scaled units, then divided by 65536; plain SGD steps
become negligible and the loss stays at the prior.
"""
import random
import torch
from torch import nn

random.seed(3)
torch.manual_seed(3)
SCALE = 65536.0


def sample(L=15):
    bias = random.choice((0.35, 0.65))
    s = [int(random.random() < bias) for _ in range(L)]
    return s, float(2 * sum(s) > L)


pairs = [sample() for _ in range(4000)]
S = torch.tensor([p[0] for p in pairs])
T = torch.tensor([p[1] for p in pairs])


class Net(nn.Module):
    def __init__(self, h=32):
        super().__init__()
        self.e, self.g, self.o = nn.Embedding(2, 8), nn.GRU(8, h, batch_first=True), nn.Linear(h, 1)

    def forward(self, x):
        return self.o(self.g(self.e(x))[0].mean(1)).squeeze(1)


def unscale(ps):
    for p in ps:
        p.grad.div_(SCALE)


net = Net()
ps = list(net.parameters())
opt = torch.optim.SGD(ps, lr=0.05, momentum=0.9)
for ep in range(12):
    s = 0.0
    for b in torch.randperm(4000).split(50):
        loss = nn.functional.binary_cross_entropy_with_logits(net(S[b]), T[b])
        opt.zero_grad()
        (loss * SCALE).backward()
        nn.utils.clip_grad_value_(ps, 0.5)  # fix: nn.utils.clip_grad_value_(ps, 0.5 * SCALE)
        unscale(ps)
        opt.step()
        s += loss.item() / 80
    print(f"ep {ep:2d} bce {s:.4f}")
print(f"final loss {s:.5f}")
