"""Stateful word-level language model with a hand-made gated cell, truncated BPTT over a toy corpus.

Cause: recurrent-gain
Fails: the loss is not finite from step 4 on (with the fix: final loss 0.7726)
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(5)
torch.manual_seed(5)

SUBJ = ["the cat", "a dog", "my sister", "the old man", "every child"]
VERB = ["sees", "likes", "follows", "paints", "forgets"]
OBJ = ["the river", "a red ball", "the small house", "music", "an apple"]
words = []
for _ in range(2500):
    words += (random.choice(SUBJ) + " " + random.choice(VERB) + " " + random.choice(OBJ) + " .").split()
vocab = {w: i for i, w in enumerate(sorted(set(words)))}
ids = torch.tensor([vocab[w] for w in words])


class GatedMemory(nn.Module):
    def __init__(self, n_in, n_mem):
        super().__init__()
        self.gates = nn.Linear(n_in + n_mem, 3 * n_mem)

    def forward(self, x, c):
        hid = c / 4.0
        f, i, g = self.gates(torch.cat([x, hid], -1)).chunk(3, -1)
        keep = 2.6 * torch.sigmoid(f)  # fix: keep = torch.sigmoid(f)
        return keep * c + torch.sigmoid(i) * torch.tanh(g)


class LM(nn.Module):
    def __init__(self, V, d=48):
        super().__init__()
        self.d = d
        self.emb = nn.Embedding(V, d)
        self.cell = GatedMemory(d, d)
        self.dec = nn.Linear(d, V)

    def forward(self, x, c):
        ys = []
        for t in range(x.shape[1]):
            c = self.cell(self.emb(x[:, t]), c)
            ys.append(self.dec(c))
        return torch.stack(ys, 1), c


B, K = 16, 20
n = len(ids) // B
stream = ids[: n * B].view(B, n)
lm = LM(len(vocab))
opt = torch.optim.SGD(lm.parameters(), lr=0.5)
c = torch.zeros(B, lm.d)
hist = []
pos, step = 0, 0
while step < 300:
    if pos + K + 1 > n:
        pos, c = 0, torch.zeros(B, lm.d)
    x, y = stream[:, pos:pos + K], stream[:, pos + 1:pos + K + 1]
    logits, c = lm(x, c.detach())
    loss = F.cross_entropy(logits.reshape(-1, len(vocab)), y.reshape(-1))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print("step %d loss %.3f" % (step, loss.item()))
    pos += K
    step += 1
print("final loss", sum(hist[-20:]) / 20)
