"""Rating prediction by matrix factorisation with biases and plain minibatch SGD (recommender course, week 2).

Cause: learning-rate
Fails: the loss is not finite from step 8 on
"""
import torch

torch.manual_seed(15)
USERS, ITEMS, K = 400, 250, 10
LR = 60.0  # fix: LR = 6.0
REG = 1e-5

tu, ti = torch.randn(USERS, 4), torch.randn(ITEMS, 4)
ratings = (3.4 + 0.4 * (tu @ ti.T) + 0.3 * torch.randn(USERS, ITEMS)).clamp(1, 5)
pop = 1.0 / torch.arange(1, ITEMS + 1) ** 0.5
n = 30000
u_all = torch.randint(0, USERS, (n,))
i_all = torch.multinomial(pop, n, replacement=True)
r_all = ratings[u_all, i_all]
mu = r_all.mean()

P = (0.1 * torch.randn(USERS, K)).requires_grad_()
Q = (0.1 * torch.randn(ITEMS, K)).requires_grad_()
bu = torch.zeros(USERS, requires_grad=True)
bi = torch.zeros(ITEMS, requires_grad=True)


def predict(u, i):
    return mu + bu[u] + bi[i] + (P[u] * Q[i]).sum(1)


hist = []
for epoch in range(14):
    for idx in torch.randperm(n).split(256):
        u, i, r = u_all[idx], i_all[idx], r_all[idx]
        err = predict(u, i) - r
        loss = err.pow(2).mean()
        (loss + REG * (P[u].pow(2).sum() + Q[i].pow(2).sum())).backward()
        with torch.no_grad():
            for w in (P, Q, bu, bi):
                w -= LR * w.grad
                w.grad.zero_()
        hist.append(loss.item())
    print("epoch", epoch, "rmse", (sum(hist[-100:]) / 100) ** 0.5)
print("final loss", sum(hist[-100:]) / 100)
