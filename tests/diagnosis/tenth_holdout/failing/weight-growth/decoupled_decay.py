"""Item2vec style two tower recommender with our own decoupled weight decay optimizer.

Cause: weight-growth
Fails: the loss falls to 3.6, then rises without end (1e13 at step 900)
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class AdamDecoupled(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, wd=0.1):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, wd=wd))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            b1, b2 = g["betas"]
            for p in g["params"]:
                if p.grad is None:
                    continue
                s = self.state[p]
                if not s:
                    s["t"], s["m"], s["v"] = 0, torch.zeros_like(p), torch.zeros_like(p)
                s["t"] += 1
                s["m"].lerp_(p.grad, 1 - b1)
                s["v"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                mhat = s["m"] / (1 - b1 ** s["t"])
                vhat = s["v"] / (1 - b2 ** s["t"])
                p.mul_(1 + g["lr"] * g["wd"])  # fix: p.mul_(1 - g["lr"] * g["wd"])
                p.addcdiv_(mhat, vhat.sqrt() + g["eps"], value=-g["lr"])


class Tower(nn.Module):
    def __init__(self, n, dim=24):
        super().__init__()
        self.id = nn.Embedding(n, dim)
        self.net = nn.Sequential(nn.Linear(dim, 64), nn.ReLU(), nn.Linear(64, dim))
        nn.init.normal_(self.id.weight, std=0.1)

    def forward(self, i):
        e = self.id(i)
        return e + self.net(e)


def main():
    torch.manual_seed(12)
    rng = np.random.default_rng(12)
    U, I, K = 300, 200, 6
    uz, iz = rng.normal(size=(U, K)), rng.normal(size=(I, K))
    pop = 1 / np.arange(1, I + 1) ** 0.7
    logit = uz @ iz.T + 0.5 * np.log(pop)[None]
    p = np.exp(logit - logit.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    clicks = np.stack([rng.choice(I, 60, p=p[u]) for u in range(U)])
    users, items = Tower(U), Tower(I)
    opt = AdamDecoupled([*users.parameters(), *items.parameters()], lr=0.01, wd=1.0)
    log = []
    for step in range(900):
        u = torch.from_numpy(rng.integers(0, U, 128))
        i = torch.from_numpy(clicks[u.numpy(), rng.integers(0, 60, 128)])
        scores = users(u) @ items(torch.arange(I)).T
        loss = F.cross_entropy(scores, i)
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())
        if step % 100 == 0:
            print("step", step, "softmax loss", round(loss.item(), 4))
    print("final loss", float(np.mean(log[-50:])))


if __name__ == "__main__":
    main()
