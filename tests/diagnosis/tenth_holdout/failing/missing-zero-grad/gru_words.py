"""GRU language model over a small story corpus with stateful batches.

Cause: missing-zero-grad
Fails: the loss rises from 3.5 to 2059 and ends at 484
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)
np.random.seed(23)
subj = "the fox|a bear|the old king|my sister|the robot|a child".split("|")
verb = "sees|chases|likes|draws|finds|carries".split("|")
obj = "the moon|a red ball|some bread|the river|a small house|an apple".split("|")
tail = "in the morning .|at night .|near the forest .|.".split("|")
pick = lambda xs, i: xs[i % len(xs)]
words = []
for _ in range(4000):
    a, b = np.random.randint(6), np.random.randint(6)
    words += f"{subj[a]} {pick(verb, a + b % 2)} {obj[b]} {pick(tail, a + b)}".split()
vocab = {w: i for i, w in enumerate(sorted(set(words)))}
ids = torch.tensor([vocab[w] for w in words])
NB, BPTT = 16, 24
stream = ids[: len(ids) // NB * NB].view(NB, -1)


class LM(nn.Module):
    def __init__(self, v, h=64):
        super().__init__()
        self.e, self.g, self.d = nn.Embedding(v, h), nn.GRU(h, h, batch_first=True), nn.Linear(h, v)

    def forward(self, x, s):
        y, s = self.g(self.e(x), s)
        return self.d(y), s


model = LM(len(vocab))
opt = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 400, eta_min=0.05)
curve = []
for epoch in range(5):
    state = None
    opt.zero_grad()
    for i in range(0, min(stream.size(1) - BPTT - 1, 80 * BPTT), BPTT):
        # fix: opt.zero_grad()
        x, y = stream[:, i:i + BPTT], stream[:, i + 1:i + BPTT + 1]
        logits, state = model(x, state)
        state = state.detach()
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten())
        loss.backward()
        opt.step()
        scheduler.step()
        curve.append(loss.item())
    print("epoch", epoch, "loss", np.mean(curve[-40:]))
print("final loss", float(np.mean(curve[-40:])))
