"""Matrix factorisation for ratings, hand-written SGD with momentum (no torch.optim); batch = one user session, rarely a huge bulk import."""
import math, torch
gen = torch.Generator().manual_seed(20)
U, I, R = 600, 300, 8
pu, qi = torch.randn(U, 4, generator=gen), torch.randn(I, 4, generator=gen)
bu, bi = torch.randn(U, generator=gen) * .4, torch.randn(I, generator=gen) * .5
def ratings(u, i):
    r = 3.4 + bu[u] + bi[i] + .35 * (pu[u] * qi[i]).sum(1) + .5 * torch.randn(len(u), generator=gen)
    return (r * 2).round().div(2).clamp(.5, 5)

P = {"p": torch.randn(U, R, generator=gen) * .1, "q": torch.randn(I, R, generator=gen) * .1, "bu": torch.zeros(U), "bi": torch.zeros(I), "mu": torch.zeros(())}
for v in P.values(): v.requires_grad_(True)
mom = {k: torch.zeros_like(v) for k, v in P.items()}
lr0, beta, wd, N = .3, .9, 2e-5, 36000
avg, sq = [], []
for step in range(N):
    if step % 1500 == 1499:   n = 6000                                          # nightly bulk import
    else:                     n = int(min(200, 5 + torch.empty(1).exponential_(1/25., generator=gen).item()))
    u, i = torch.randint(U, (n,), generator=gen), torch.randint(I, (n,), generator=gen)
    r = ratings(u, i)
    pred = P["mu"] + P["bu"][u] + P["bi"][i] + (P["p"][u] * P["q"][i]).sum(1)
    loss = (pred - r).pow(2).mean()
    grads = torch.autograd.grad(loss, list(P.values()))
    lr = lr0 * min(1, (step + 1) / 500) * (1 - step / N)
    with torch.no_grad():
        for (k, v), g in zip(P.items(), grads):
            scale = .02 if k == "mu" else .25
            mom[k].mul_(beta).add_(g + wd * v)
            v.sub_(lr * scale * mom[k])
    avg.append(loss.item())
    if step % 2000 == 0: print(f"step {step} mse {sum(avg[-1000:])/len(avg[-1000:]):.4f} lr {lr:.3f}")
print(f"final loss {sum(avg[-2000:])/2000:.4f}")
