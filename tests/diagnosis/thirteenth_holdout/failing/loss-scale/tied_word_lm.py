"""Word language model with tied embeddings on generated recipes, token losses over a padded batch.

Cause: loss-scale
Fails: final loss 1.14e+06 (with the fix 1.328)
"""
import math
import random
import torch
from torch import nn

PAD = 0


class Corpus:
    verbs = "mix stir chop fry bake boil serve".split()
    things = "onion garlic rice beans fish pasta butter".split()
    hows = "slowly gently quickly twice".split()

    def __init__(self, n=900, seed=13):
        r = random.Random(seed)
        self.sents = []
        for _ in range(n):
            s = ["<s>"]
            for _ in range(r.randint(1, 4)):
                s += [r.choice(self.verbs), "the", r.choice(self.things)]
                if r.random() < 0.5:
                    s.append(r.choice(self.hows))
                s.append("then")
            s[-1] = "</s>"
            self.sents.append(s)
        self.vocab = {"<pad>": PAD}
        for s in self.sents:
            for w in s:
                self.vocab.setdefault(w, len(self.vocab))

    def batches(self, bs, r):
        order = list(range(len(self.sents)))
        r.shuffle(order)
        for i in range(0, len(order) - bs + 1, bs):
            rows = [[self.vocab[w] for w in self.sents[j]] for j in order[i:i + bs]]
            m = max(map(len, rows))
            yield torch.tensor([row + [PAD] * (m - len(row)) for row in rows])


class TiedLM(nn.Module):
    def __init__(self, V, d=40):
        super().__init__()
        self.emb = nn.Embedding(V, d, padding_idx=PAD)
        nn.init.normal_(self.emb.weight, std=0.1)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.drop = nn.Dropout(0.1)
        self.bias = nn.Parameter(torch.zeros(V))

    def forward(self, x):
        h, _ = self.rnn(self.drop(self.emb(x)))
        return h @ self.emb.weight.T + self.bias


def train():
    torch.manual_seed(13)
    r = random.Random(0)
    c = Corpus()
    lm = TiedLM(len(c.vocab))
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, reduction="sum")  # fix: criterion = nn.CrossEntropyLoss(ignore_index=PAD, reduction="mean")
    opt = torch.optim.SGD(lm.parameters(), lr=0.8, momentum=0.8)
    for ep in range(12):
        tot = ntok = 0
        for b in c.batches(32, r):
            logits = lm(b[:, :-1])
            loss = criterion(logits.flatten(0, 1), b[:, 1:].flatten())
            opt.zero_grad()
            loss.backward()
            opt.step()
            with torch.no_grad():
                tot += nn.functional.cross_entropy(logits.flatten(0, 1), b[:, 1:].flatten(), ignore_index=PAD, reduction="sum").item()
                ntok += (b[:, 1:] != PAD).sum().item()
        nats = tot / ntok
        print(f"epoch {ep:2d} nats/token {nats:.4f} ppl {math.exp(min(nats, 50)):.2f}")
    return nats


print("final loss", train())
