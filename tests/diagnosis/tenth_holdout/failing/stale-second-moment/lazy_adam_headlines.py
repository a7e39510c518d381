"""Headline GRU language model with a cheap Adam that refreshes its second moment only now and then.

Cause: stale-second-moment
Fails: the loss rises from 5.6 to 559 and ends at 102
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(45)
rng = np.random.default_rng(45)
V, T, B, H = 250, 20, 20, 64
zipf = 1 / np.arange(1, V + 1) ** 0.9
zipf /= zipf.sum()
follow = rng.choice(V, (V, 3), p=zipf)
words = [0]
for _ in range(30000):
    words.append(follow[words[-1], rng.integers(3)] if rng.random() < 0.85 else rng.choice(V, p=zipf))
corpus = torch.tensor(np.array(words))


class Headlines(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, H)
        self.gru = nn.GRU(H, H, batch_first=True)
        self.out = nn.Linear(H, V)

    def forward(self, x):
        return self.out(self.gru(self.emb(x))[0])


class CheapAdam(torch.optim.Optimizer):
    def __init__(self, params, lr=2e-3, betas=(0.9, 0.95), eps=1e-8, refresh_every=1):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, refresh_every=refresh_every))
        self.t = 0

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            k = group["refresh_every"]
            n_ref = self.t // k + 1
            for p in group["params"]:
                st = self.state[p]
                if len(st) == 0:
                    st["m"], st["v"] = torch.zeros_like(p), torch.zeros_like(p)
                st["m"].mul_(b1).add_(p.grad, alpha=1 - b1)
                if self.t % k == 0:
                    st["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                m = st["m"] / (1 - b1 ** (self.t + 1))
                v = st["v"] / (1 - b2 ** n_ref)
                p.addcdiv_(m, v.sqrt().add_(group["eps"]), value=-group["lr"])
        self.t += 1


net = Headlines()
opt = CheapAdam(net.parameters(), lr=3e-3, refresh_every=25)  # fix: opt = CheapAdam(net.parameters(), lr=3e-3, refresh_every=1)
hist = []
for step in range(350):
    i = torch.randint(0, len(corpus) - T - 1, (B,))
    x = torch.stack([corpus[j:j + T] for j in i])
    y = torch.stack([corpus[j + 1:j + T + 1] for j in i])
    loss = F.cross_entropy(net(x).reshape(-1, V), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, hist[-1])
print("final loss", float(np.mean(hist[-25:])))
