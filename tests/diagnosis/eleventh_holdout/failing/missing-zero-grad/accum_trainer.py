"""Sentence-pair scorer with a small bidirectional GRU, a callback-driven trainer and gradient accumulation over 4 micro-batches.

Cause: missing-zero-grad
Fails: the loss is not finite from backward call 376 on (counted from 0, of 880); the final value is nan
"""
import torch
from torch import nn


class Scorer(nn.Module):
    def __init__(self, v=40, d=24):
        super().__init__()
        self.emb = nn.Embedding(v, d)
        self.rnn = nn.GRU(d, d, batch_first=True, bidirectional=True)
        self.mlp = nn.Sequential(nn.Linear(8 * d, 48), nn.ReLU(), nn.Linear(48, 1))

    def encode(self, s):
        return self.rnn(self.emb(s))[0].mean(1)

    def forward(self, a, b):
        u, v = self.encode(a), self.encode(b)
        return self.mlp(torch.cat([u, v, u * v, (u - v).abs()], -1)).squeeze(-1)


class Callback:
    def before_micro(self, tr): ...
    def after_backward(self, tr): ...


class Accumulate(Callback):
    def __init__(self, every):
        self.every = every

    def before_micro(self, tr):
        if tr.micro == 0:  # fix: if tr.micro % self.every == 0:
            tr.opt.zero_grad()

    def after_backward(self, tr):
        if (tr.micro + 1) % self.every == 0:
            tr.opt.step()
            tr.sched.step()


class Trainer:
    def __init__(self, model, total, callbacks):
        self.model, self.cbs, self.micro = model, callbacks, 0
        self.opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, 0.05, total_steps=total + 1, cycle_momentum=False)
        self.log = []

    def fit(self, data):
        for a, b, y in data:
            for c in self.cbs:
                c.before_micro(self)
            loss = nn.functional.mse_loss(self.model(a, b), y)
            (loss / 4).backward()
            for c in self.cbs:
                c.after_backward(self)
            self.log.append(loss.item())
            if self.micro % 200 == 0:
                print(self.micro, self.log[-1])
            self.micro += 1


def similar(n_micro, g, bs=16):
    topic = torch.randint(0, 4, (40,), generator=g)
    pools = [(topic == k).float() + 0.08 for k in range(4)]
    for _ in range(n_micro):
        ka, kb = torch.randint(0, 4, (2, bs), generator=g)
        kb = torch.where(torch.rand(bs, generator=g) < 0.4, ka, kb)
        a = torch.multinomial(torch.stack([pools[k] for k in ka.tolist()]), 8, True, generator=g)
        b = torch.multinomial(torch.stack([pools[k] for k in kb.tolist()]), 8, True, generator=g)
        yield a, b, 2.0 * (ka == kb).float() - 1


if __name__ == "__main__":
    torch.manual_seed(41)
    g = torch.Generator().manual_seed(42)
    tr = Trainer(Scorer(), 220, [Accumulate(4)])
    tr.fit(similar(880, g))
    print("final loss", sum(tr.log[-60:]) / 60)
