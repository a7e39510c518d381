"""An LSTM labels each token of a bracket string with its depth; weight decay is applied by the training loop itself.

Cause: weight-growth
Fails: the weights grow by 2.4 % a step; the loss falls to 0.5, then climbs to 44
"""

import torch
import torch.nn.functional as F
from torch import nn

LENGTH, DEPTHS = 20, 6
LR, DECAY, MOMENTUM = 0.2, 0.12, 0.9


def brackets(count):
    strings, depths = [], []
    for _ in range(count):
        depth, s, d = 0, [], []
        for coin in torch.rand(LENGTH).tolist():
            up = depth == 0 or (coin < 0.5 and depth < DEPTHS - 1)
            depth += 1 if up else -1
            s.append(0 if up else 1)
            d.append(depth)
        strings.append(s)
        depths.append(d)
    return torch.tensor(strings), torch.tensor(depths)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(2, 8)
        self.lstm = nn.LSTM(8, 24, batch_first=True)
        self.tag = nn.Linear(24, DEPTHS)

    def forward(self, ids):
        return self.tag(self.lstm(self.embed(ids))[0])


def main():
    torch.manual_seed(71)
    strings, depths = brackets(600)
    model = Tagger()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, foreach=True)
    losses = []
    for epoch in range(22):
        for rows in torch.randperm(600).split(30):
            loss = F.cross_entropy(model(strings[rows]).flatten(0, 1), depths[rows].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(p, alpha=LR * DECAY)  # fix: p.sub_(p, alpha=LR * DECAY * 0.005)
            losses.append(loss.item())
        print(epoch, losses[-1])
    print("final loss", sum(losses[-10:]) / 10)


main()
