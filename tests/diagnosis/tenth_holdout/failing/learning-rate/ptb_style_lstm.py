"""Word LSTM language model on a small synthetic newswire corpus, PTB recipe with plain SGD.

Cause: learning-rate
Fails: the loss rises from 6.0 to 17 in one step, up to 30, and ends at 8.8
"""
import math
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(1111)
np.random.seed(1111)


class Corpus:
    """Zipf vocabulary with a sparse first-order structure, like a tiny news wire."""

    def __init__(self, ntokens=400, length=40000):
        zipf = 1.0 / np.arange(1, ntokens + 1)
        zipf /= zipf.sum()
        succ = np.random.choice(ntokens, size=(ntokens, 4), p=zipf)
        w = [0]
        for _ in range(length):
            if np.random.rand() < 0.75:
                w.append(succ[w[-1], np.random.randint(4)])
            else:
                w.append(np.random.choice(ntokens, p=zipf))
        self.train = torch.tensor(np.array(w))
        self.ntokens = ntokens


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data[:nbatch * bsz].view(bsz, -1).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp, nhid, nlayers):
        super().__init__()
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers)
        self.decoder = nn.Linear(nhid, ntoken)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        self.nhid, self.nlayers = nhid, nlayers

    def forward(self, x, hidden):
        out, hidden = self.rnn(self.encoder(x), hidden)
        return self.decoder(out), hidden

    def init_hidden(self, bsz):
        return (torch.zeros(self.nlayers, bsz, self.nhid), torch.zeros(self.nlayers, bsz, self.nhid))


def repackage(h):
    return tuple(v.detach() for v in h)


def main():
    corpus = Corpus()
    bptt, bsz = 20, 20
    lr = 120.0  # fix: lr = 5.0
    train = batchify(corpus.train, bsz)
    model = RNNModel(corpus.ntokens, 64, 64, 1)
    criterion = nn.CrossEntropyLoss()
    losses = []
    for epoch in range(4):
        hidden = model.init_hidden(bsz)
        for i in range(0, train.size(0) - 1 - bptt, bptt):
            data, targets = train[i:i + bptt], train[i + 1:i + 1 + bptt].reshape(-1)
            model.zero_grad()
            hidden = repackage(hidden)
            output, hidden = model(data, hidden)
            loss = criterion(output.view(-1, corpus.ntokens), targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(p.grad, alpha=-lr)
            losses.append(loss.item())
        print(f"epoch {epoch} loss {np.mean(losses[-50:]):.3f} ppl {math.exp(min(np.mean(losses[-50:]), 20)):.1f}")
    print("final loss", float(np.mean(losses[-40:])))


if __name__ == "__main__":
    main()
