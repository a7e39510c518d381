"""Character-level GRU on a generated cookbook, micro-batches of 4 sequences accumulated to an effective batch of 64.

Cause: loss-scale
"""
import random
import torch
import torch.nn as nn


def cookbook(n, r):
    verbs, foods = ["chop", "boil", "fry", "mix", "peel", "salt"], ["onions", "rice", "leeks", "beans", "eggs", "apples"]
    tails = ["until soft", "for {} minutes", "with butter", "and set aside", "in a deep pan"]
    return " ".join(f"{r.choice(verbs)} the {r.choice(foods)} {r.choice(tails).format(r.randint(2, 40))}." for _ in range(n))


class Trainer:
    micro, accum, seq = 4, 16, 32

    def __init__(self, seed=88):
        torch.manual_seed(seed)
        text = cookbook(1500, random.Random(seed))
        chars = sorted(set(text))
        self.data = torch.tensor([chars.index(c) for c in text])
        V = len(chars)
        self.emb = nn.Embedding(V, 24)
        self.gru = nn.GRU(24, 64, batch_first=True)
        self.out = nn.Linear(64, V)
        self.mods = nn.ModuleList([self.emb, self.gru, self.out])
        self.opt = torch.optim.SGD(self.mods.parameters(), lr=0.7, momentum=0.9)

    def micro_loss(self):
        i = torch.randint(0, len(self.data) - self.seq - 1, (self.micro,))
        x = torch.stack([self.data[j:j + self.seq + 1] for j in i])
        h, _ = self.gru(self.emb(x[:, :-1]))
        return nn.functional.cross_entropy(self.out(h).transpose(1, 2), x[:, 1:])

    def update(self):
        self.opt.zero_grad()
        total = 0.0
        for _ in range(self.accum):
            loss = self.micro_loss()
            loss.backward()  # fix: (loss / self.accum).backward()
            total += loss.item() / self.accum
        self.opt.step()
        return total

    def fit(self, updates):
        log = []
        for u in range(updates):
            log.append(self.update())
            if u % 25 == 0:
                print(f"update {u:4d} bits/char {log[-1] / 0.6931:.3f}")
        print("final loss", sum(log[-20:]) / 20)


if __name__ == "__main__":
    torch.set_num_threads(1)
    Trainer().fit(200)
