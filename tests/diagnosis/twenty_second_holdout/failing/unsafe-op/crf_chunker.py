"""BiLSTM-CRF chunk tagger trained on generated noun-phrase sequences, CRF written by hand.

Cause: unsafe-op
"""
import random
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence, pack_padded_sequence, pad_packed_sequence

torch.set_num_threads(1)
random.seed(31)
torch.manual_seed(31)

TAGS = ["O", "B-NP", "I-NP", "B-VP", "I-VP"]
LEX = {"d": 4, "j": 12, "n": 30, "v": 16, "r": 8, "p": 6, "c": 3}
OFF, o = {}, 1
for k, n in LEX.items():
    OFF[k] = o
    o += n
VOCAB = o


def tok(k):
    # one in twenty tokens is a homograph: drawn from another class
    kk = random.choice(list(LEX)) if random.random() < 0.05 else k
    return OFF[kk] + random.randrange(LEX[kk])


def example():
    x, y = [], []
    for _ in range(random.randint(2, 6)):
        x.append(tok("d")); y.append(1)
        for _ in range(random.randint(0, 2)):
            x.append(tok("j")); y.append(2)
        x.append(tok("n")); y.append(2)
        x.append(tok("v")); y.append(3)
        if random.random() < 0.5:
            x.append(tok("r")); y.append(4)
        if random.random() < 0.5:
            x.append(tok(random.choice("pc"))); y.append(0)
    return torch.tensor(x), torch.tensor(y)


class BiLSTMCRF(nn.Module):
    def __init__(self, d=32, h=32, k=len(TAGS)):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, d, padding_idx=0)
        self.rnn = nn.LSTM(d, h, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(2 * h, k)
        self.trans = nn.Parameter(torch.zeros(k, k))
        self.start = nn.Parameter(torch.zeros(k))

    def emissions(self, x, lens):
        p = pack_padded_sequence(self.emb(x), lens, batch_first=True, enforce_sorted=False)
        return self.fc(pad_packed_sequence(self.rnn(p)[0], batch_first=True)[0])

    def logZ(self, e, mask):
        a = self.start + e[:, 0]
        for t in range(1, e.shape[1]):
            s = a.unsqueeze(2) + self.trans + e[:, t].unsqueeze(1)
            nxt = s.exp().sum(1).log()  # fix: nxt = torch.logsumexp(s, 1)
            a = torch.where(mask[:, t, None], nxt, a)
        return torch.logsumexp(a, 1)

    def gold(self, e, y, mask):
        m = mask.float()
        s = self.start[y[:, 0]] + e[:, 0].gather(1, y[:, :1]).squeeze(1)
        em = e.gather(2, y.unsqueeze(2)).squeeze(2)[:, 1:]
        tr = self.trans[y[:, :-1], y[:, 1:]]
        return s + ((em + tr) * m[:, 1:]).sum(1)

    def nll(self, x, y, lens):
        e = self.emissions(x, lens)
        mask = torch.arange(x.shape[1])[None] < lens[:, None]
        return (self.logZ(e, mask) - self.gold(e, y, mask)).mean()


m = BiLSTMCRF()
opt = torch.optim.Adam(m.parameters(), lr=5e-3)
L = []
for i in range(300):
    b = [example() for _ in range(16)]
    lens = torch.tensor([len(s[0]) for s in b])
    x = pad_sequence([s[0] for s in b], batch_first=True)
    y = pad_sequence([s[1] for s in b], batch_first=True)
    loss = m.nll(x, y, lens)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(m.parameters(), 5.0)
    opt.step()
    L.append(loss.item())
    if i % 30 == 0:
        print("batch", i, "nll", round(L[-1], 4))
print("final loss", sum(L[-20:]) / 20)
