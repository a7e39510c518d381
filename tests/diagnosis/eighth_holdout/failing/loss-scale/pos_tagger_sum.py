"""BiLSTM part-of-speech tagger; token cross entropy over padded sentences, SGD.

Cause: loss-scale
Fails: the dev loss is thrown to 74 in the first epoch (a fresh net has 2.1) and is 43.5 at the end (with the fix 0.22)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

torch.manual_seed(6)
VOCAB, TAGS, PAD = 120, 8, -1
emit = torch.randint(0, TAGS, (VOCAB,))


def sentence():
    w = torch.randint(0, VOCAB, (int(torch.randint(10, 30, (1,))),))
    t = emit[w].clone()
    prev = torch.cat([t[:1] * 0, t[:-1]])
    t = torch.where(w % 5 == 0, (t + prev) % TAGS, t)
    return w, t


corpus = [sentence() for _ in range(1600)]


def collate(items):
    n = torch.tensor([len(w) for w, _ in items])
    return pad_sequence([w for w, _ in items], True), n, pad_sequence([t for _, t in items], True, PAD)


class BiLSTMTagger(nn.Module):
    def __init__(self, emb=40, hid=40):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, emb)
        self.rnn = nn.LSTM(emb, hid, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * hid, TAGS)

    def forward(self, w, n):
        p = pack_padded_sequence(self.emb(w), n, batch_first=True, enforce_sorted=False)
        h, _ = pad_packed_sequence(self.rnn(p)[0], batch_first=True)
        return self.fc(h)


def criterion(scores, tags):
    s, t = scores.flatten(0, 1), tags.flatten()
    return F.cross_entropy(s, t, ignore_index=PAD, reduction="sum")  # fix: return F.cross_entropy(s, t, ignore_index=PAD)


net = BiLSTMTagger()
opt = torch.optim.SGD(net.parameters(), lr=0.8, momentum=0.8)
train, dev = corpus[:1400], corpus[1400:]
for epoch in range(5):
    perm = torch.randperm(len(train)).tolist()
    for k in range(0, len(perm), 40):
        w, n, t = collate([train[i] for i in perm[k:k + 40]])
        loss = criterion(net(w, n), t)
        net.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        w, n, t = collate(dev)
        ce = F.cross_entropy(net(w, n).flatten(0, 1), t.flatten(), ignore_index=PAD).item()
        print("epoch", epoch, "dev ce", ce)
print("final loss", ce)
