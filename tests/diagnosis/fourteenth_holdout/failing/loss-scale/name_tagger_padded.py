"""An LSTM tagger marks names in artificial sentences of varying length, with padding ignored by the loss.

Cause: loss-scale
Fails: a first loss of 540, 1e5 after some steps and to the end
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence, pad_sequence


def sentences(count, g):
    xs, ys = [], []
    for _ in range(count):
        n = int(torch.randint(8, 25, (), generator=g))
        x = torch.randint(0, 50, (n,), generator=g)
        y = torch.zeros(n, dtype=torch.long)
        for i in range(1, n):
            if x[i - 1] < 8:  # a title: the next word is a name
                y[i] = 1
            elif y[i - 1] == 1 and x[i] >= 40:  # a second name
                y[i] = 2
        xs.append(x)
        ys.append(y)
    return xs, ys


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 20)
        self.lstm = nn.LSTM(20, 40, bidirectional=True)
        self.tag = nn.Linear(80, 3)

    def forward(self, xs):
        packed = pack_sequence([self.embedding(x) for x in xs], enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.tag(states)


class Callback:
    def on_epoch(self, trainer):
        print(trainer.epoch, sum(trainer.log[-15:]) / 15)


class Trainer:
    def __init__(self, model, optimizer, criterion, callbacks):
        self.model, self.optimizer, self.criterion, self.callbacks = model, optimizer, criterion, callbacks
        self.log, self.epoch = [], 0

    def fit(self, xs, ys, epochs):
        for self.epoch in range(epochs):
            for rows in torch.randperm(len(xs)).split(32):
                logits = self.model([xs[i] for i in rows])
                tags = pad_sequence([ys[i] for i in rows], batch_first=True, padding_value=-100)
                loss = self.criterion(logits.flatten(0, 1), tags.flatten())
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.log.append(loss.item())
            for callback in self.callbacks:
                callback.on_epoch(self)


torch.manual_seed(6)
xs, ys = sentences(480, torch.Generator().manual_seed(6))
model = Tagger()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
criterion = nn.CrossEntropyLoss(reduction="sum")  # fix: criterion = nn.CrossEntropyLoss()
trainer = Trainer(model, optimizer, criterion, [Callback()])
trainer.fit(xs, ys, 12)
print("final loss", sum(trainer.log[-15:]) / 15)
