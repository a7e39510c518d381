"""POS tagging with a small BiGRU; own loss scaling helper left over from the half precision branch.

Cause: clip-before-unscale
Fails: the loss stays where it began (1.79 at the start, 1.75 at the end)
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class LossScaler:
    def __init__(self, scale=2.0 ** 14):
        self.scale = scale

    def backward(self, loss):
        (loss * self.scale).backward()

    def unscale(self, params):
        for p in params:
            if p.grad is not None:
                p.grad.div_(self.scale)


def corpus(rng, n, length=18, words=240, tags=6):
    trans = rng.dirichlet(np.full(tags, 0.4), tags)
    lex = [rng.choice(words, 60, replace=False) for _ in range(tags)]
    z = 1 / np.arange(1, 61)
    z /= z.sum()
    y = np.zeros((n, length), dtype=np.int64)
    x = np.zeros((n, length), dtype=np.int64)
    for i in range(n):
        k = rng.integers(tags)
        for t in range(length):
            k = rng.choice(tags, p=trans[k])
            y[i, t], x[i, t] = k, rng.choice(lex[k], p=z)
    return torch.from_numpy(x), torch.from_numpy(y)


class Tagger(nn.Module):
    def __init__(self, words=240, tags=6, d=32, h=40):
        super().__init__()
        self.emb = nn.Embedding(words, d)
        self.gru = nn.GRU(d, h, bidirectional=True, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.cls = nn.Linear(2 * h, tags)

    def forward(self, x):
        return self.cls(self.drop(self.gru(self.emb(x))[0]))


class Trainer:
    def __init__(self, model, lr=0.3, max_norm=1.0):
        self.model, self.scaler, self.max_norm = model, LossScaler(), max_norm
        self.params = list(model.parameters())
        self.opt = torch.optim.SGD(self.params, lr=lr, momentum=0.9)

    def clip(self, limit):
        return nn.utils.clip_grad_norm_(self.params, limit)

    def train_step(self, x, y):
        self.opt.zero_grad()
        loss = F.cross_entropy(self.model(x).flatten(0, 1), y.flatten())
        self.scaler.backward(loss)
        self.clip(self.max_norm)  # fix: self.clip(self.max_norm * self.scaler.scale)
        self.scaler.unscale(self.params)
        self.opt.step()
        return loss.item()


if __name__ == "__main__":
    torch.manual_seed(35)
    rng = np.random.default_rng(35)
    X, Y = corpus(rng, 900)
    tr = Trainer(Tagger())
    log = []
    for epoch in range(8):
        for b in torch.randperm(900).split(30):
            log.append(tr.train_step(X[b], Y[b]))
        print("epoch", epoch, np.mean(log[-30:]))
    print("final loss", float(np.mean(log[-30:])))
