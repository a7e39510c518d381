"""Trains the PyTorch word language model example (tied LSTM, SGD with learning rate 20, clipping at 0.25) on generated text."""
import random
import torch
import torch.nn as nn

torch.manual_seed(1111)
torch.set_num_threads(1)
random.seed(1111)
nouns, verbs, adj = [f"n{i}" for i in range(40)], [f"v{i}" for i in range(20)], [f"a{i}" for i in range(15)]
words = []
for _ in range(5000):
    k = random.randrange(40)
    words += ["the", adj[(k * 7 + random.randrange(2)) % 15], nouns[k], verbs[(k + random.randrange(3)) % 20], "the", nouns[(k * 3 + random.randrange(2)) % 40], "<eos>"]
vocab = {w: i for i, w in enumerate(sorted(set(words)))}
ids = torch.tensor([vocab[w] for w in words])
V, H, BPTT = len(vocab), 64, 20


def batchify(d, b):
    n = len(d) // b
    return d[: n * b].view(b, n).t().contiguous()


train, val = batchify(ids[:31000], 20), batchify(ids[31000:], 10)


class RNNModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop, self.encoder = nn.Dropout(0.2), nn.Embedding(V, H)
        self.rnn, self.decoder = nn.LSTM(H, H, 1), nn.Linear(H, V)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, x, h):
        o, h = self.rnn(self.drop(self.encoder(x)), h)
        return self.decoder(self.drop(o)).view(-1, V), h


model, crit, lr, best = RNNModel(), nn.CrossEntropyLoss(), 20.0, None


def evaluate():
    model.eval()
    tot, h = 0.0, None
    with torch.no_grad():
        for i in range(0, len(val) - 1 - BPTT, BPTT):
            o, h = model(val[i:i + BPTT], h)
            tot += crit(o, val[i + 1:i + 1 + BPTT].reshape(-1)).item()
    model.train()
    return tot / len(range(0, len(val) - 1 - BPTT, BPTT))


for epoch in range(5):
    h = None
    for b, i in enumerate(range(0, len(train) - 1 - BPTT, BPTT)):
        if h is not None:
            h = tuple(t.detach() for t in h)
        model.zero_grad()
        o, h = model(train[i:i + BPTT], h)
        loss = crit(o, train[i + 1:i + 1 + BPTT].reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        if b % 30 == 0:
            print("epoch", epoch, "batch", b, "loss", round(loss.item(), 4))
    v = evaluate()
    if best is None or v < best:
        best = v
    else:
        lr /= 4.0
print("final loss", evaluate())
