"""Fits a matrix factorisation with side biases from raw tensors, from-scratch notebook style.

Cause: missing-zero-grad
Fails: the gradients of the biases are reset, those of the factors are not; the error swings up and up
"""
import torch

torch.manual_seed(8)
n_users, n_movies, rank = 120, 90, 5

# %% make ratings
U_t, V_t = torch.randn(n_users, rank) * 0.6, torch.randn(n_movies, rank) * 0.6
bu_t, bm_t = torch.randn(n_users), torch.randn(n_movies)
R = U_t @ V_t.T + bu_t[:, None] + bm_t[None] + 0.1 * torch.randn(n_users, n_movies) + 3.5
seen = torch.rand_like(R) < 0.4
pairs = seen.nonzero()

# %% parameters
U = (0.1 * torch.randn(n_users, rank)).requires_grad_()
V = (0.1 * torch.randn(n_movies, rank)).requires_grad_()
bu = torch.zeros(n_users, requires_grad=True)
bm = torch.zeros(n_movies, requires_grad=True)
mu = R[seen].mean()
lr = 1.0

# %% training loop
for it in range(1, 1501):
    i, j = pairs[torch.randint(len(pairs), (256,))].T
    pred = (U[i] * V[j]).sum(1) + bu[i] + bm[j] + mu
    loss = ((pred - R[i, j]) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        for p in (U, V, bu, bm):
            p -= lr * p.grad
        for p in (bu, bm):  # fix: for p in (U, V, bu, bm):
            p.grad.zero_()
    if it % 200 == 0:
        print(f"{it}: {loss.item():.4f}")

# %%
print("final loss", loss.item())
