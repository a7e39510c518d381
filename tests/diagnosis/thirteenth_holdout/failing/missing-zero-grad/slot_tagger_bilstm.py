"""Slot tagging of travel requests with a bidirectional LSTM.

Cause: missing-zero-grad
Fails: final loss 99.23 (with the fix 0.001884)
"""
import random
import torch
import torch.nn as nn

random.seed(8); torch.manual_seed(8)

CITIES = ["paris", "rome", "oslo", "lima", "cairo", "tokyo"]
DAYS = ["monday", "tuesday", "friday", "sunday"]
TEMPL = ["book a flight from {o} to {d} on {t}", "i want to go to {d} from {o}",
         "show trains to {d} leaving {t}", "from {o} please to {d} next {t}"]
LAB = {"O": 0, "ORIG": 1, "DEST": 2, "DAY": 3}


def make():
    words, labs = [], []
    for tok in random.choice(TEMPL).split():
        if tok == "{o}":
            words.append(random.choice(CITIES)); labs.append(1)
        elif tok == "{d}":
            words.append(random.choice(CITIES)); labs.append(2)
        elif tok == "{t}":
            words.append(random.choice(DAYS)); labs.append(3)
        else:
            words.append(tok); labs.append(0)
    return words, labs


corpus = [make() for _ in range(1200)]
w2i = {"<pad>": 0}
for ws, _ in corpus:
    for w in ws:
        w2i.setdefault(w, len(w2i))


def pad(items, value):
    m = max(map(len, items))
    return torch.tensor([list(i) + [value] * (m - len(i)) for i in items])


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(len(w2i), 32, padding_idx=0)
        self.l = nn.LSTM(32, 32, bidirectional=True, batch_first=True)
        self.o = nn.Linear(64, len(LAB))

    def forward(self, x):
        return self.o(self.l(self.e(x))[0])


net = Tagger()
loss_fn = nn.CrossEntropyLoss(ignore_index=-1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

for epoch in range(8):
    random.shuffle(corpus)
    tot = 0
    for i in range(0, len(corpus), 30):
        chunk = corpus[i:i + 30]
        x = pad([[w2i[w] for w in ws] for ws, _ in chunk], 0)
        y = pad([ls for _, ls in chunk], -1)
        # fix: optimizer.zero_grad()
        loss = loss_fn(net(x).transpose(1, 2), y)
        loss.backward()
        optimizer.step()
        tot += loss.item()
    print("epoch %d: mean loss %.4f" % (epoch, tot / (len(corpus) // 30)))
print("final loss", tot / (len(corpus) // 30))
