"""Sentiment classifier (embedding, GRU-free CNN) in float16 with our own static loss scaler.

Cause: half-overflow
Fails: the loss is not finite from step 1 on
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(66)
torch.manual_seed(66)
VOCAB, LEN = 600, 32
polarity = np.zeros(VOCAB)
polarity[50:120], polarity[120:190] = 1, -1


def reviews(n):
    z = 1 / np.arange(1, VOCAB) ** 0.8
    x = rng.choice(np.arange(1, VOCAB), (n, LEN), p=z / z.sum())
    lens = rng.integers(10, LEN + 1, n)
    x[np.arange(LEN)[None] >= lens[:, None]] = 0
    s = polarity[x].sum(1) + rng.normal(0, 0.3, n)
    return torch.tensor(x), torch.tensor((s > 0).astype(np.int64))


class TextCNN(nn.Module):
    def __init__(self, d=32, ch=32):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, d, padding_idx=0)
        self.w1 = nn.Linear(3 * d, ch)
        self.fc = nn.Linear(ch, 2)

    def forward(self, x):
        e = self.emb(x)
        tri = torch.cat([e[:, :-2], e[:, 1:-1], e[:, 2:]], -1)
        return self.fc(F.relu(self.w1(tri)).mean(1) * 4)


class Float16Trainer:
    loss_scale = 2.0 ** 20  # fix: loss_scale = 2.0 ** 10

    def __init__(self, model, lr=2e-3):
        self.model = model.half()
        self.master = [p.detach().float().clone() for p in model.parameters()]
        self.opt = torch.optim.AdamW(self.master, lr=lr)

    def step(self, x, y):
        self.model.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.model(x).float(), y)
        (loss * self.loss_scale).backward()
        for p, w in zip(self.model.parameters(), self.master):
            w.grad = p.grad.float() / self.loss_scale
        self.opt.step()
        for p, w in zip(self.model.parameters(), self.master):
            p.data.copy_(w)
        return loss.item()


trainer = Float16Trainer(TextCNN())
trace = []
for i in range(300):
    trace.append(trainer.step(*reviews(64)))
    if i % 50 == 0:
        print("iter", i, "loss", trace[-1])
print("final loss", float(np.mean(trace[-20:])))
