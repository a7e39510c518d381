"""Trains word2vec skip-gram with negative sampling, sparse embedding gradients and SparseAdam at a learning rate of 0.02; rare words are touched seldom."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
torch.set_num_threads(1)
rs = np.random.RandomState(11)
V, K, D = 2000, 20, 32
topic = rs.randint(0, K, V)
freq = 1.0 / np.arange(1, V + 1) ** 0.8
members = [np.where(topic == k)[0] for k in range(K)]
prob = [freq[m] / freq[m].sum() for m in members]
ks = rs.randint(0, K, 30000)
center, ctx = np.empty(30000, int), np.empty(30000, int)
for k in range(K):
    j = np.where(ks == k)[0]
    center[j], ctx[j] = rs.choice(members[k], len(j), p=prob[k]), rs.choice(members[k], len(j), p=prob[k])
noise = torch.tensor(freq ** 0.75 / (freq ** 0.75).sum(), dtype=torch.float32)
center, ctx = torch.tensor(center), torch.tensor(ctx)
U, W = nn.Embedding(V, D, sparse=True), nn.Embedding(V, D, sparse=True)
nn.init.uniform_(U.weight, -0.5 / D, 0.5 / D)
nn.init.zeros_(W.weight)
opt = torch.optim.SparseAdam(list(U.parameters()) + list(W.parameters()), lr=0.02)
g = torch.Generator().manual_seed(6)


def objective(i):
    u, v = U(center[i]), W(ctx[i])
    n = W(torch.multinomial(noise, len(i) * 5, True, generator=g).view(len(i), 5))
    return -(F.logsigmoid((u * v).sum(1)) + F.logsigmoid(-(n @ u.unsqueeze(2)).squeeze(2)).sum(1)).mean()


for step in range(700):
    loss = objective(torch.randint(0, 28000, (128,), generator=g))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 70 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", objective(torch.arange(28000, 30000)).item())
