"""Sentiment of long synthetic reviews (verdict in the first words) with an LSTM on packed sequences.

Cause: vanishing-recurrent
Fails: final accuracy 0.52 (with the fix 1)
"""
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

POS = "wonderful superb delightful brilliant charming".split()
NEG = "awful dreadful boring clumsy terrible".split()
FILL = ("the film was shown in a theatre near our house and we went with friends on friday "
        "because it rained all week then dinner at nine").split()
VOCAB = {w: i + 1 for i, w in enumerate(sorted(set(POS + NEG + FILL)))}


class Reviews(Dataset):
    def __init__(self, n, seed):
        r = random.Random(seed)
        self.rows = []
        for _ in range(n):
            lab = r.randint(0, 1)
            head = [r.choice(POS if lab else NEG) for _ in range(2)]
            tail = [r.choice(FILL) for _ in range(r.randint(45, 70))]
            self.rows.append((torch.tensor([VOCAB[w] for w in head + tail]), lab))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


def collate(batch):
    seqs, labs = zip(*batch)
    return pad_sequence(seqs, batch_first=True), torch.tensor([len(s) for s in seqs]), torch.tensor(labs).float()


class SentimentLSTM(nn.Module):
    def __init__(self, emb=24, hid=40):
        super().__init__()
        self.emb = nn.Embedding(len(VOCAB) + 1, emb, padding_idx=0)
        self.lstm = nn.LSTM(emb, hid, batch_first=True)
        self.out = nn.Linear(hid, 1)
        with torch.no_grad():
            for b in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
                b[hid:2 * hid].fill_(-2.5)  # fix: b[hid:2 * hid].fill_(2.0)

    def forward(self, x, lens):
        p = pack_padded_sequence(self.emb(x), lens, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(p)
        return self.out(h[-1]).squeeze(-1)


def accuracy(model, loader):
    model.eval()
    ok = n = 0
    with torch.no_grad():
        for x, l, y in loader:
            ok += ((model(x, l) > 0).float() == y).sum().item()
            n += len(y)
    model.train()
    return ok / n


torch.manual_seed(42)
train_dl = DataLoader(Reviews(1200, 1), batch_size=32, shuffle=True, collate_fn=collate)
test_dl = DataLoader(Reviews(400, 2), batch_size=100, collate_fn=collate)
model = SentimentLSTM()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
bce = nn.BCEWithLogitsLoss()
for epoch in range(5):
    tot = 0.0
    for x, l, y in train_dl:
        loss = bce(model(x, l), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item()
    print(f"epoch {epoch + 1} loss {tot / len(train_dl):.4f} test acc {accuracy(model, test_dl):.3f}")
print("final accuracy", accuracy(model, test_dl))
