"""Sentiment of generated toy reviews, read word by word with a ReLU recurrent cell.

Cause: recurrent-gain
Fails: first loss 8.9e6, peak 2.6e8 at step 2, still 2.6e4 in the last epoch (0.69 would be guessing).
"""
import random

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

random.seed(2)
torch.manual_seed(2)

GOOD = "lovely great superb charming bright clever warm delightful".split()
POOR = "dull awful boring clumsy bleak weak tedious horrid".split()
PLAIN = "the a film plot actor scene music was with and then very some of in it".split()
VOCAB = {w: i + 1 for i, w in enumerate(GOOD + POOR + PLAIN)}


def review():
    n = random.randint(25, 60)
    words = random.choices(PLAIN, k=n)
    label = random.random() < 0.5
    for _ in range(random.randint(3, 6)):
        words[random.randrange(n)] = random.choice(GOOD if label else POOR)
    return torch.tensor([VOCAB[w] for w in words]), float(label)


class ReviewReader(nn.Module):
    def __init__(self, vocab, dim=24, hidden=48):
        super().__init__()
        self.emb = nn.Embedding(vocab + 1, dim, padding_idx=0)
        self.rnn = nn.RNN(dim, hidden, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(hidden, 1)
        nn.init.normal_(self.rnn.weight_ih_l0, std=0.1)
        nn.init.eye_(self.rnn.weight_hh_l0)
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(1.45)  # fix: self.rnn.weight_hh_l0.mul_(0.95)
            self.rnn.bias_ih_l0.zero_()
            self.rnn.bias_hh_l0.zero_()

    def forward(self, tokens, lengths):
        packed = pack_padded_sequence(self.emb(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, h = self.rnn(packed)
        return self.head(h[-1]).squeeze(1)


class LossMeter:
    def __init__(self):
        self.total, self.count = 0.0, 0

    def on_batch(self, value):
        self.total += value
        self.count += 1

    @property
    def mean(self):
        return self.total / self.count


class Trainer:
    def __init__(self, model, reviews, batch=32):
        self.model, self.reviews, self.batch = model, reviews, batch
        self.opt = torch.optim.Adam(model.parameters(), lr=2e-3)
        self.crit = nn.BCEWithLogitsLoss()

    def epoch(self):
        meter = LossMeter()
        random.shuffle(self.reviews)
        for k in range(0, len(self.reviews), self.batch):
            part = self.reviews[k:k + self.batch]
            tokens = pad_sequence([r[0] for r in part], batch_first=True)
            lengths = torch.tensor([len(r[0]) for r in part])
            labels = torch.tensor([r[1] for r in part])
            self.opt.zero_grad()
            loss = self.crit(self.model(tokens, lengths), labels)
            loss.backward()
            self.opt.step()
            meter.on_batch(loss.item())
        return meter.mean


trainer = Trainer(ReviewReader(len(VOCAB)), [review() for _ in range(1280)])
for e in range(7):
    mean = trainer.epoch()
    print("epoch", e, "loss", mean)
print("final loss", mean)
