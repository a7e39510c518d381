"""Character LM on nursery-like text, LSTM cell written by hand, plain SGD as in the old PTB recipes.

Cause: learning-rate
Fails: final val nats/char 50.06 (with the fix 0.3972)
"""
import math
import torch
import torch.nn.functional as F

g = torch.Generator().manual_seed(5)

subjects = ["the cat", "the old man", "a little bird", "my brother", "the farmer", "her sister"]
verbs = ["sees", "likes", "follows", "feeds", "hears", "sold"]
objects = ["the dog", "a red hen", "the moon", "an apple", "the boat", "his horse"]
places = ["in the barn", "by the river", "at noon", "on the hill", "every day", "after rain"]


def pick(lst):
    return lst[int(torch.randint(len(lst), (1,), generator=g))]


text = ". ".join(" ".join([pick(subjects), pick(verbs), pick(objects), pick(places)]) for _ in range(900))
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in text])
V, E, H, B, T = len(chars), 32, 96, 32, 24
lr = 60.0  # fix: lr = 2.0
steps = 260


def rand(*shape, s):
    return ((torch.rand(*shape, generator=g) * 2 - 1) * s).requires_grad_()


k = 1 / math.sqrt(H)
P = {
    "emb": rand(V, E, s=0.5),
    "wx": rand(E, 4 * H, s=k),
    "wh": rand(H, 4 * H, s=k),
    "b": torch.zeros(4 * H, requires_grad=True),
    "wo": rand(H, V, s=k),
    "bo": torch.zeros(V, requires_grad=True),
}
with torch.no_grad():
    P["b"][H:2 * H] = 1.0


def cell(x, h, c):
    z = x @ P["wx"] + h @ P["wh"] + P["b"]
    i, f, o, u = z.chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(u)
    return torch.sigmoid(o) * torch.tanh(c), c


def run(tokens):
    h = torch.zeros(tokens.size(0), H)
    c = torch.zeros(tokens.size(0), H)
    emb = P["emb"][tokens]
    outs = []
    for t in range(tokens.size(1)):
        h, c = cell(emb[:, t], h, c)
        outs.append(h)
    return torch.stack(outs, 1) @ P["wo"] + P["bo"]


def batch(lo, hi):
    s = torch.randint(lo, hi - T - 1, (B,), generator=g)
    idx = s[:, None] + torch.arange(T + 1)
    seq = data[idx]
    return seq[:, :-1], seq[:, 1:]


split = int(len(data) * 0.9)
for it in range(steps):
    x, y = batch(0, split)
    loss = F.cross_entropy(run(x).reshape(-1, V), y.reshape(-1))
    grads = torch.autograd.grad(loss, list(P.values()))
    with torch.no_grad():
        for p, d in zip(P.values(), grads):
            p -= lr * d
    if it % 40 == 0:
        print("iter", it, "nats/char", round(loss.item(), 3))

with torch.no_grad():
    tot = 0.0
    for _ in range(10):
        x, y = batch(split, len(data))
        tot += F.cross_entropy(run(x).reshape(-1, V), y.reshape(-1)).item()
print("final val nats/char", round(tot / 10, 4))
