"""A text classifier with bag-of-embeddings, trained with gradient accumulation over 32 micro-batches.

Cause: loss-scale
Fails: micro-batch losses are added without dividing by 32, the effective step is 32 times too long and the loss runs far above log(4)
"""

import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--accum", type=int, default=32)
parser.add_argument("--micro", type=int, default=8)
parser.add_argument("--updates", type=int, default=90)
parser.add_argument("--lr", type=float, default=0.5)
args = parser.parse_args()
torch.manual_seed(4)

VOCAB, CLASSES, LEN = 200, 4, 20
topic = torch.softmax(torch.randn(CLASSES, VOCAB) * 0.9, 1)


def micro_batch(n):
    y = torch.randint(0, CLASSES, (n,))
    tokens = torch.multinomial(topic[y], LEN, replacement=True)
    return tokens, y


class Classifier(nn.Module):
    def __init__(self, dim=64):
        super().__init__()
        self.emb = nn.EmbeddingBag(VOCAB, dim, mode="mean")
        self.fc1 = nn.Linear(dim, 128)
        self.fc2 = nn.Linear(128, 128)
        self.out = nn.Linear(128, CLASSES)

    def forward(self, tok):
        h = F.relu(self.fc1(self.emb(tok) * 4.0))
        return self.out(F.relu(self.fc2(h)))


model = Classifier()
opt = torch.optim.SGD(model.parameters(), lr=args.lr)
curve = []
for update in range(args.updates):
    opt.zero_grad()
    total = 0.0
    for _ in range(args.accum):
        tok, y = micro_batch(args.micro)
        loss = F.cross_entropy(model(tok), y)
        total += loss.item() / args.accum
        loss.backward()  # fix: (loss / args.accum).backward()
    opt.step()
    curve.append(total)
    if update % 15 == 0:
        print(f"update {update} loss {total:.4f}")
print("final loss", sum(curve[-10:]) / 10)
