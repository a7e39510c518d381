"""Character-level name model in raw tensors, a deep ReLU MLP over a context of four letters.

Cause: init-gain
Fails: the first loss is near 1e6 and training stays orders of magnitude above log(27)
"""

import random

import torch
import torch.nn.functional as F

random.seed(7)
g = torch.Generator().manual_seed(2147483647)

onset = ["k", "m", "l", "br", "s", "t", "j", "n", "el", "ch"]
nucleus = ["a", "e", "i", "o", "ia", "ay"]
coda = ["n", "", "", "l", "r", "h", "s"]
words = [
    "".join(random.choice(onset) + random.choice(nucleus) for _ in range(random.randint(1, 3))) + random.choice(coda)
    for _ in range(800)
]
chars = ["."] + sorted(set("".join(words)))
stoi = {c: i for i, c in enumerate(chars)}
V = len(chars)

block_size = 4
X, Y = [], []
for w in words:
    ctx = [0] * block_size
    for ch in w + ".":
        X.append(ctx)
        Y.append(stoi[ch])
        ctx = ctx[1:] + [stoi[ch]]
X, Y = torch.tensor(X), torch.tensor(Y)

n_embd, n_hidden, depth = 10, 100, 7
C = torch.randn((V, n_embd), generator=g)
sizes = [n_embd * block_size] + [n_hidden] * depth
Ws, bs = [], []
for fan_in, fan_out in zip(sizes[:-1], sizes[1:]):
    gain = 1.0  # fix: gain = (2.0 / fan_in) ** 0.5
    W = torch.randn((fan_in, fan_out), generator=g) * gain
    Ws.append(W)
    bs.append(torch.zeros(fan_out))
Wout = torch.randn((n_hidden, V), generator=g) * 0.05
bout = torch.zeros(V)
parameters = [C, *Ws, *bs, Wout, bout]
for p in parameters:
    p.requires_grad = True
print(sum(p.nelement() for p in parameters), "parameters")

opt = torch.optim.Adam(parameters, lr=1e-3)
lossi = []
for i in range(400):
    ix = torch.randint(0, X.shape[0], (64,), generator=g)
    h = C[X[ix]].view(64, -1)
    for W, b in zip(Ws, bs):
        h = torch.relu(h @ W + b)
    logits = h @ Wout + bout
    loss = F.cross_entropy(logits, Y[ix])
    for p in parameters:
        p.grad = None
    loss.backward()
    opt.step()
    lossi.append(loss.item())
    if i % 100 == 0:
        print(f"{i:4d} {loss.item():.4f}")

print("final loss", sum(lossi[-10:]) / 10)
