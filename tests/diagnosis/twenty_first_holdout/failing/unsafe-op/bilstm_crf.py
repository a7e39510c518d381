"""Trains a BiLSTM-CRF tagger in the style of the PyTorch tutorial, batched, on generated entity sentences.

Cause: unsafe-op
Fails: the loss falls for some steps, then becomes inf and NaN
"""
import random
import torch
import torch.nn as nn

torch.manual_seed(4)
torch.set_num_threads(1)
random.seed(4)
V, K, T = 120, 7, 30
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"]


def sentence():
    w, y = [], []
    while len(w) < T:
        e = random.choice([0, 0, 0, 1, 2, 3])
        if e == 0:
            w.append(random.randint(0, 59)); y.append(0)
        else:
            w.append(60 + 15 * (e - 1) + random.randint(0, 9)); y.append(2 * e - 1)
            for _ in range(random.randint(0, 2)):
                w.append(random.randint(105, 119)); y.append(2 * e)
    return w[:T], y[:T]


rows = [sentence() for _ in range(1200)]
X, Y = torch.tensor([r[0] for r in rows]), torch.tensor([r[1] for r in rows])


class BiLSTM_CRF(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, 24)
        self.lstm = nn.LSTM(24, 24, bidirectional=True, batch_first=True)
        self.hidden2tag = nn.Linear(48, K)
        self.transitions = nn.Parameter(torch.randn(K, K) * 0.1)

    def feats(self, x):
        return self.hidden2tag(self.lstm(self.emb(x))[0])

    def forward_alg(self, f):
        alpha = f[:, 0]
        for t in range(1, f.size(1)):
            s = alpha.unsqueeze(2) + self.transitions + f[:, t].unsqueeze(1)
            alpha = torch.log(torch.exp(s).sum(1))  # fix: alpha = torch.logsumexp(s, 1)
        return torch.logsumexp(alpha, 1)

    def score(self, f, y):
        emit = f.gather(2, y.unsqueeze(2)).squeeze(2).sum(1)
        return emit + self.transitions[y[:, :-1], y[:, 1:]].sum(1)

    def nll(self, x, y):
        f = self.feats(x)
        return (self.forward_alg(f) - self.score(f, y)).mean()


model = BiLSTM_CRF()
opt = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-4)
g = torch.Generator().manual_seed(6)
for step in range(250):
    i = torch.randint(0, 1000, (16,), generator=g)
    opt.zero_grad()
    loss = model.nll(X[i], Y[i])
    loss.backward()
    opt.step()
    if step % 25 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", model.nll(X[1000:], Y[1000:]).item())
