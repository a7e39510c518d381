"""Predicts the sentiment of padded token sequences with a packed ReLU RNN.

Cause: recurrent-gain
Fails: hidden states explode over the sequence, the loss starts at 1e20 and is still 1e11 in the end
"""
import random
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence, pack_padded_sequence

random.seed(0)
torch.manual_seed(0)

GOOD, BAD, NEUTRAL = range(1, 21), range(21, 41), range(41, 200)


def make_review():
    label = random.random() < 0.5
    n = random.randint(60, 120)
    words = [random.choice(NEUTRAL) for _ in range(n)]
    for p in random.sample(range(n), 12):
        words[p] = random.choice(GOOD if label else BAD)
    return torch.tensor(words), float(label)


def collate(batch):
    xs, ys = zip(*batch)
    lengths = torch.tensor([len(x) for x in xs])
    return pad_sequence(xs, batch_first=True), lengths, torch.tensor(ys)


class SentimentRNN(nn.Module):
    def __init__(self, emb=32, hid=64):
        super().__init__()
        self.embed = nn.Embedding(200, emb, padding_idx=0)
        self.rnn = nn.RNN(emb, hid, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hid, 1)
        nn.init.xavier_normal_(self.rnn.weight_ih_l0, gain=0.3)
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.25)  # fix: self.rnn.weight_hh_l0.data.copy_(torch.eye(hid) * 0.8)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embed(x), lengths, batch_first=True, enforce_sorted=False)
        _, h = self.rnn(packed)
        return self.fc(h[-1]).squeeze(-1)


reviews = [make_review() for _ in range(640)]
loader = torch.utils.data.DataLoader(reviews, batch_size=32, shuffle=True, collate_fn=collate)
model = SentimentRNN()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(12):
    tot = 0
    for x, lengths, y in loader:
        opt.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(model(x, lengths), y)
        loss.backward()
        opt.step()
        tot += loss.item()
    print(epoch, tot / len(loader))
print("final loss", tot / len(loader))
