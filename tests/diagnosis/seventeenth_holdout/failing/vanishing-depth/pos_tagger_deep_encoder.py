"""Trains a deep per-token encoder that tags each word from itself and its neighbours.
Cause: vanishing-depth
Fails: the loss stays at the entropy of the tags; nothing is learned.
"""
import torch
import torch.nn as nn

torch.manual_seed(31)
V, TAGS, L, D = 50, 6, 16, 48
table = torch.randint(0, TAGS, (V, 2))


def sentences(n):
    w = torch.randint(0, V, (n, L))
    prev = torch.roll(w, 1, 1)
    prev[:, 0] = 0
    tag = torch.where(prev % 2 == 0, table[w, 0], table[w, 1])
    return w, tag


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(D, D, 3, padding=1)
        self.fc = nn.Linear(D, D)

    def forward(self, x):
        y = torch.sigmoid(self.conv(x.transpose(1, 2)).transpose(1, 2))
        y = self.fc(y)
        return torch.sigmoid(y)  # fix: return x + y


class Tagger(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.emb = nn.Embedding(V, D)
        self.blocks = nn.ModuleList(Block() for _ in range(depth))
        self.cls = nn.Linear(D, TAGS)

    def forward(self, w):
        x = self.emb(w)
        for b in self.blocks:
            x = b(x)
        return self.cls(x)


def main():
    model = Tagger()
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
    hist = []
    for step in range(270):
        w, t = sentences(32)
        loss = nn.functional.cross_entropy(model(w).flatten(0, 1), t.flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if step % 50 == 0:
            print(step, f"{loss.item():.4f}")
    print("final loss", f"{sum(hist[-20:]) / 20:.4f}")


main()
